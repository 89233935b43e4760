package stream

import (
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/html/atom"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// links makes the redirects and the links of a backend's answer lead through the gateway.
type links struct {
	prefix  string // the gateway's path that stands for the backend's root
	backend string // the backend's host and port
	asked   string // the host that the client asked
}

// rewrite changes the answer's Location and the links of a page in HTML.
func (l *links) rewrite(resp *http.Response) error {
	if to := resp.Header.Get("Location"); to != "" {
		u, err := url.Parse(to)
		if err != nil {
			return apierrors.NewInternalError(fmt.Errorf("error trying to parse Location header: %w", err))
		}
		resp.Header.Set("Location", l.through(u))
		return nil
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "text/html" || resp.Request.Method == http.MethodHead {
		return nil
	}
	var page io.Reader = resp.Body
	switch resp.Header.Get("Content-Encoding") {
	case "":
	case "gzip":
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			return fmt.Errorf("reading a page: %w", err)
		}
		page = z
		resp.Header.Del("Content-Encoding")
	default:
		return nil // not asked for
	}
	resp.Body = newPage(page, resp.Body, l.through)
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	return nil
}

// through is a link as the client is to follow it: one to the backend's root goes below prefix; relative ones and those to
// other hosts stay.
func (l *links) through(u *url.URL) string {
	elsewhere := u.Host != "" && u.Host != l.backend && u.Host != l.asked
	if elsewhere || !strings.HasPrefix(u.Path, "/") {
		return u.String()
	}
	if u.Host == "" || u.Host != l.asked {
		u.Scheme, u.Host = "", ""
	}
	if strings.HasPrefix(u.Path, l.prefix) {
		return u.String()
	}
	slash := strings.HasSuffix(u.Path, "/")
	u.Path, u.RawPath = path.Join(l.prefix, u.Path), ""
	if slash {
		u.Path += "/"
	}
	return u.String()
}

// linkAttributes are the attributes that hold a link, by element: HTML 4's, and those of later ones.
var linkAttributes = map[atom.Atom][]string{
	atom.A: {"href"}, atom.Applet: {"codebase"}, atom.Area: {"href"}, atom.Audio: {"src"}, atom.Base: {"href"}, atom.Blockquote: {"cite"},
	atom.Body: {"background"}, atom.Button: {"formaction"}, atom.Command: {"icon"}, atom.Del: {"cite"}, atom.Embed: {"src"}, atom.Form: {"action"},
	atom.Frame: {"longdesc", "src"}, atom.Head: {"profile"}, atom.Html: {"manifest"}, atom.Iframe: {"longdesc", "src"},
	atom.Img: {"longdesc", "src", "usemap"}, atom.Input: {"src", "usemap", "formaction"}, atom.Ins: {"cite"}, atom.Link: {"href"},
	atom.Object: {"classid", "codebase", "data", "usemap"}, atom.Q: {"cite"}, atom.Script: {"src"}, atom.Source: {"src"}, atom.Video: {"poster", "src"},
}
