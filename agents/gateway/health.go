package gateway

import "net/http"

// health answers /healthz, /livez and /readyz.
func (g *gateway) health(w http.ResponseWriter, r *request) error {
	g.cfg.Health.ServeHTTP(w, r.Request)
	return nil
}
