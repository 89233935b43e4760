package gateway

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"gantry/agents/gateway/request"
)

// debug serves Go's profiles at /debug/pprof/, as Kubernetes does. Only system:masters is permitted there.
func (g *gateway) debug(w http.ResponseWriter, r *request.Request) error {
	switch name := strings.TrimPrefix(r.Path, "/debug/pprof/"); name {
	case "cmdline":
		pprof.Cmdline(w, r.Request)
	case "profile":
		pprof.Profile(w, r.Request)
	case "symbol":
		pprof.Symbol(w, r.Request)
	case "trace":
		pprof.Trace(w, r.Request)
	default:
		pprof.Index(w, r.Request) // of all, or the profile of that name
	}
	return nil
}
