package gateway

import (
	"net/http"
	"strings"

	"gantry/agents/gateway/request"
)

// isHealth tells the paths of health checks and of single ones among them.
func isHealth(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "healthz" || first == "livez" || first == "readyz"
}

// health answers /healthz, /livez and /readyz.
func (g *gateway) health(w http.ResponseWriter, r *request.Request) error {
	g.cfg.Health.ServeHTTP(w, r.Request)
	return nil
}
