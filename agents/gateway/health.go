package gateway

import (
	"net/http"
	"strings"

	"gantry/agents/gateway/request"
)

// isHealth returns whether a path is that of the health checks, or of a single one.
func isHealth(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "healthz" || first == "livez" || first == "readyz"
}

// health answers /healthz, /livez and /readyz.
func (g *gateway) health(w http.ResponseWriter, r *request.Request) error {
	g.cfg.Health.ServeHTTP(w, r.Request)
	return nil
}
