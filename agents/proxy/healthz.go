package proxy

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// healthTimeout is how long a change may wait before the proxy is unhealthy.
const healthTimeout = time.Minute

// healthz serves the health checks of load balancers as kube-proxy does: /healthz fails also when the node is being deleted, so
// that it gets no new connections; /livez ignores the node.
type healthz struct {
	tracker *changeTracker
	node    string
	last    atomic.Int64 // unix nanoseconds of the last success; 0: none yet
}

func (h *healthz) synced() { h.last.Store(time.Now().UnixNano()) }

func (h *healthz) healthy(now time.Time) bool {
	return h.last.Load() != 0 && h.tracker.pending(now) < healthTimeout
}

func (h *healthz) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { h.answer(w, eligible(h.tracker.self(h.node))) })
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { h.answer(w, true) })
	return mux
}

func (h *healthz) answer(w http.ResponseWriter, eligible bool) {
	now := time.Now()
	last := now
	if !h.healthy(now) {
		last = time.Unix(0, h.last.Load())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !eligible || !h.healthy(now) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"lastUpdated": last.String(), "currentTime": now.String(), "nodeEligible": eligible,
	})
}

// eligible returns whether a node should get traffic: it is not being deleted, neither its object nor by the cluster autoscaler.
func eligible(n *corev1.Node) bool {
	if n == nil {
		return true
	}
	for _, t := range n.Spec.Taints {
		if t.Key == "ToBeDeletedByClusterAutoscaler" {
			return false
		}
	}
	return n.DeletionTimestamp == nil
}
