// Package resolvconf reads and writes the files by which programs find name servers, resolv.conf(5).
package resolvconf

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// File is the content of a resolv.conf.
type File struct{ Servers, Searches, Options []string }

// Parse reads a resolv.conf; lines it does not know are left out.
func Parse(text string) File {
	var r File
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") || strings.HasPrefix(f[0], ";") {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.Servers = append(r.Servers, f[1])
		case "search": // the last one counts
			r.Searches = nil
			for _, s := range f[1:] {
				if s != "." {
					r.Searches = append(r.Searches, strings.TrimSuffix(s, "."))
				}
			}
		case "options":
			r.Options = append(r.Options, f[1:]...)
		}
	}
	return r
}

// Host reads the host's. Behind a resolver on loopback, it is the one of systemd-resolved that names the real servers.
func Host() File {
	text, _ := os.ReadFile("/etc/resolv.conf")
	r := Parse(string(text))
	if r.onLoopback() {
		if text, err := os.ReadFile("/run/systemd/resolve/resolv.conf"); err == nil {
			return Parse(string(text))
		}
	}
	return r
}

// onLoopback tells whether only this host's own resolver is named, which a pod cannot reach.
func (r File) onLoopback() bool {
	for _, s := range r.Servers {
		if a, err := netip.ParseAddr(s); err != nil || !a.IsLoopback() {
			return false
		}
	}
	return len(r.Servers) > 0
}

func (r File) String() string {
	var b strings.Builder
	if len(r.Searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(r.Searches, " "))
	}
	for _, s := range r.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(r.Options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(r.Options, " "))
	}
	return b.String()
}
