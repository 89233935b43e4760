package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

// Proxy passes a request on to what a pod, a service or a node serves, and the answer back, upgraded connections included. The client's
// credentials are not passed on. A redirect is the client's to follow: it and the links of a page are made to lead through the gateway.
func (s *Handlers) Proxy(w http.ResponseWriter, r *request.Request) error {
	if err := s.admit(w, r); err != nil {
		return err
	}
	to, err := s.backendOf(r)
	if err != nil {
		return err
	}
	to.url.Path, to.url.RawQuery = backendPath(r), r.URL.RawQuery
	if to.url.Path == "" && r.Header.Get("Upgrade") == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		// Without the slash a page's relative links would not lead below it.
		w.Header().Set("Location", (&url.URL{Path: r.Path + "/", RawQuery: r.URL.RawQuery}).String())
		w.WriteHeader(http.StatusMovedPermanently)
		return nil
	}
	ctx, cancel := context.WithCancel(to.ctx)
	defer cancel()
	defer context.AfterFunc(request.Stopping(ctx), cancel)()
	s.backendProxy(r, to).ServeHTTP(w, r.WithContext(ctx))
	return nil
}

// backendPath is the path that a backend is asked for: what follows "proxy", as it is; "" where that is nothing.
func backendPath(r *request.Request) string {
	p := ""
	if r.Rest != "" {
		p = path.Join("/", r.Rest)
	}
	if strings.HasSuffix(r.Path, "/") {
		p = strings.TrimSuffix(p, "/") + "/"
	}
	return p
}

// backendProxy passes one request on to a backend.
func (s *Handlers) backendProxy(r *request.Request, to *backend) *httputil.ReverseProxy {
	above := strings.TrimSuffix(strings.TrimRight(r.Path, "/"), r.Rest)
	l := &links{prefix: strings.TrimRight(above, "/"), backend: to.url.Host, asked: r.Host}
	return &httputil.ReverseProxy{
		Transport:     to.transport,
		FlushInterval: flushInterval,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL, p.Out.Host = to.url, r.Host
			h := p.Out.Header
			withoutCredentials(h)
			h.Del("Accept-Encoding")
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				h.Set("Accept-Encoding", "gzip") // which links can be found in
			}
			h["X-Forwarded-For"] = r.Header.Values("X-Forwarded-For")
			p.SetXForwarded()
			h.Del("X-Forwarded-Host")
			h.Del("X-Forwarded-Proto")
			h.Set("X-Forwarded-Uri", l.prefix+to.url.EscapedPath())
		},
		ModifyResponse: func(resp *http.Response) error {
			for _, name := range []string{"Credentials", "Headers", "Methods", "Origin"} {
				resp.Header.Del("Access-Control-Allow-" + name) // the gateway's origin is not the backend's to open
			}
			if resp.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
			return l.rewrite(resp)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			encode.Error(s.log, w, r, to.fault(r.Context(), err))
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// fault is the error of a request to the backend that got no answer.
func (b *backend) fault(ctx context.Context, err error) error {
	var status *apierrors.StatusError
	switch {
	case errors.As(err, &status):
		return err
	case b.kubelet:
		return unreachable(ctx, b.url.Host, err)
	case ctx.Err() != nil:
		return ctx.Err() // the client has left
	}
	return apierrors.NewServiceUnavailable(fmt.Sprintf("error trying to reach service: %v", err))
}

// withoutCredentials removes who the client is, and whom it impersonates.
func withoutCredentials(h http.Header) {
	h.Del("Authorization")
	for name := range h {
		if strings.HasPrefix(name, "Impersonate-") {
			delete(h, name)
		}
	}
}
