package probe

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// probesTotal counts probes by type (Liveness, Readiness, Startup) and result (successful, failed).
var probesTotal = promauto.NewCounterVec(prometheus.CounterOpts{
	Name: "prober_probe_total",
	Help: "Number of probes of containers by type and result.",
}, []string{"probe_type", "result"})

func resultLabel(ok bool) string {
	if ok {
		return "successful"
	}
	return "failed"
}
