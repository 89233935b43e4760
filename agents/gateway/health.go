package gateway

import (
	"net/http"

	"gantry/agents/gateway/request"
)

// health answers /healthz, /livez and /readyz.
func (g *gateway) health(w http.ResponseWriter, r *request.Request) error {
	g.cfg.Health.ServeHTTP(w, r.Request)
	return nil
}
