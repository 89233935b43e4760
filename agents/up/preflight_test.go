package up

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCheckEngine answers a ping as engines do.
func TestCheckEngine(t *testing.T) {
	const fix = ": install or start Docker Engine 20.10 or newer (Debian, Ubuntu: apt-get install docker.io), or pass --docker-host"
	tests := []struct {
		name, version string // "": it does not answer
		want          string // part of the error; "": none
	}{
		{"new", "1.51", ""},
		{"20.10", "1.41", ""},
		{"old", "1.40", " speaks API 1.40: Docker 20.10 (API 1.41) or later is needed)" + fix},
		{"very old", "1.9", " speaks API 1.9: Docker 20.10 (API 1.41) or later is needed)" + fix},
		{"away", "", "pinging the docker engine at tcp://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("API-Version", tt.version) }))
			t.Cleanup(s.Close)
			if tt.version == "" {
				s.Close()
			}
			err := checkEngine(t.Context(), "tcp://"+strings.TrimPrefix(s.URL, "http://"))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasSuffix(err.Error(), fix)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if err := checkEngine(t.Context(), "nonsense"); err == nil || !strings.HasPrefix(err.Error(), "--docker-host nonsense: ") {
		t.Errorf("of a malformed host: %v", err)
	}
}
