package daemon

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHealth(t *testing.T) {
	h := &Health{}
	h.Live("engine", func(context.Context) error { return nil })
	h.Ready("etcd", func(context.Context) error { return errors.New("no leader") })
	cases := []struct {
		path string
		code int
		body string
	}{
		{"/livez", 200, "ok"},
		{"/livez?verbose", 200, "[+]ping ok\n[+]engine ok\nlivez check passed\n"},
		{"/healthz", 200, "ok"},
		{"/readyz", 500, "[+]ping ok\n[+]engine ok\n[-]etcd failed: no leader\nreadyz check failed\n"},
		{"/readyz?exclude=etcd", 200, "ok"},
		{"/readyz?exclude=etcd&verbose", 200, "[+]ping ok\n[+]engine ok\n[+]etcd excluded: ok\nreadyz check passed\n"},
		{"/readyz/engine", 200, "ok"},
		{"/readyz/none", 404, "404 page not found\n"},
	}
	for _, tc := range cases {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", tc.path, nil))
		if diff := cmp.Diff(tc.body, w.Body.String()); w.Code != tc.code || diff != "" {
			t.Errorf("%s: status %d, want %d\n%s", tc.path, w.Code, tc.code, diff)
		}
	}
	if err := h.Fault(t.Context()); err == nil || err.Error() != "etcd: no leader" {
		t.Errorf("Fault: %v", err)
	}
}
