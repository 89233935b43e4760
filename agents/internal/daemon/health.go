package daemon

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Health is the health checks of the agents of a process. The zero value is ready for use. Safe for concurrent use.
type Health struct {
	mu     sync.Mutex // guards checks
	checks []check
}

type check struct {
	name string
	live bool
	run  func(context.Context) error
}

// Ready adds a check to /readyz, or replaces the one of the same name: an error says what is missing.
func (h *Health) Ready(name string, run func(context.Context) error) { h.add(check{name, false, run}) }

// Live adds a check to /livez, /healthz and /readyz: an error means that the process must be restarted.
func (h *Health) Live(name string, run func(context.Context) error) { h.add(check{name, true, run}) }

func (h *Health) add(c check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.IndexFunc(h.checks, func(old check) bool { return old.name == c.name }); i >= 0 {
		h.checks[i] = c
		return
	}
	h.checks = append(h.checks, c)
}

// Fault runs every readiness check and returns the first error, named; nil: ready.
func (h *Health) Fault(ctx context.Context) error {
	for _, c := range h.list("/readyz", "") {
		if err := c.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// checkTimeout bounds all checks of one request together.
const checkTimeout = 5 * time.Second

// ServeHTTP answers /healthz, /livez and /readyz with their sub-paths (/readyz/etcd), ?verbose and ?exclude=, with
// the texts of Kubernetes' API server.
func (h *Health) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), checkTimeout)
	defer cancel()
	path, only, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	exclude := req.URL.Query()["exclude"]
	var text strings.Builder
	failed := false
	checks := h.list("/"+path, only)
	if only != "" && len(checks) == 0 {
		http.NotFound(w, req)
		return
	}
	for _, c := range checks {
		if slices.Contains(exclude, c.name) {
			fmt.Fprintf(&text, "[+]%s excluded: ok\n", c.name)
			continue
		}
		if err := c.run(ctx); err != nil {
			failed = true
			fmt.Fprintf(&text, "[-]%s failed: %v\n", c.name, err)
			continue
		}
		fmt.Fprintf(&text, "[+]%s ok\n", c.name)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, verbose := req.URL.Query()["verbose"]
	switch {
	case failed:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "%s%s check failed\n", text.String(), path)
	case verbose:
		fmt.Fprintf(w, "%s%s check passed\n", text.String(), path)
	default:
		fmt.Fprint(w, "ok")
	}
}

// list returns the checks of a path, "ping" first; only, where set, is the one to return.
func (h *Health) list(path, only string) []check {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := append([]check{{"ping", true, func(context.Context) error { return nil }}}, h.checks...)
	return slices.DeleteFunc(all, func(c check) bool {
		return (path != "/readyz" && !c.live) || (only != "" && c.name != only)
	})
}
