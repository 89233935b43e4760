package stream

import (
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

func TestPage(t *testing.T) {
	large := strings.Repeat("x", maxToken)
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"text", "a < b & c", "a < b & c"},
		{"a link", `<p><a href=/x>`, `<p><a href="/p/x">`},
		{"written as it was where nothing changes", `<A  HREF='x' ID=1>&nbsp;</A>`, `<A  HREF='x' ID=1>&nbsp;</A>`},
		{"what is no link", `<a href="http://[">`, `<a href="http://[">`},
		{"an element that ends itself", `<img src="/x" alt="a&amp;b"/>`, `<img src="/p/x" alt="a&amp;b"/>`},
		{"a comment", `<!-- <a href="/x"> -->`, `<!-- <a href="/x"> -->`},
		{"broken off in a tag", `<a href="/x">y<a hre`, `<a href="/p/x">y<a hre`},
		{"after a long text nothing is changed", `<a href="/x">` + large + `<a href="/y">`, `<a href="/p/x">` + large + `<a href="/y">`},
		{"nor in a long tag", `<a title="` + large + `" href="/y">z`, `<a title="` + large + `" href="/y">z`},
	} {
		for _, in := range []io.Reader{strings.NewReader(tt.in), iotest.HalfReader(strings.NewReader(tt.in))} {
			p := newPage(in, io.NopCloser(nil), func(u *url.URL) string {
				if strings.HasPrefix(u.Path, "/") {
					return "/p" + u.Path
				}
				return u.String()
			})
			got, err := io.ReadAll(p)
			if err != nil || string(got) != tt.want {
				t.Errorf("%s: got %d bytes %.80q %v\nwant %d bytes %.80q", tt.name, len(got), got, err, len(tt.want), tt.want)
			}
		}
	}
}
