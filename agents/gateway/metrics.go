package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gantry/agents/gateway/request"
)

// The labels that Kubernetes gives its request metrics.
var requestLabels = []string{"verb", "group", "version", "resource", "subresource", "scope", "component"}

var (
	requestTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "apiserver_request_total",
		Help: "Requests by verb, dry run, group, version, resource, scope, component, and HTTP response code.",
	}, append(requestLabels[:len(requestLabels):len(requestLabels)], "code", "dry_run"))
	requestSeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apiserver_request_duration_seconds",
		Help:    "How long requests took, by verb and resource; long-running ones are left out.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, append(requestLabels[:len(requestLabels):len(requestLabels)], "dry_run"))
	responseBytes = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "apiserver_response_sizes",
		Help:    "Sizes of responses in bytes, by verb and resource.",
		Buckets: []float64{1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9},
	}, requestLabels)
	inFlight = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "apiserver_current_inflight_requests",
		Help: "Requests being served, mutating and readOnly; long-running ones are left out.",
	}, []string{"request_kind"})
	longRunning = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "apiserver_longrunning_requests",
		Help: "Long-running requests being served, by verb and resource.",
	}, requestLabels)
)

// labelsOf are a request's labels, from closed lists: what a client makes up is not a label.
func labelsOf(r *request.Request) []string {
	verb := strings.ToUpper(r.Verb)
	switch {
	case !r.IsResource:
		if verb != http.MethodGet && verb != http.MethodHead {
			verb = "other"
		}
		return []string{verb, "", "", "", "", "", "apiserver"}
	case r.Kind == nil:
		return []string{"other", "", "", "", "", "", "apiserver"}
	}
	switch r.Verb {
	case "create":
		verb = "POST"
	case "update":
		verb = "PUT"
	case "get", "list", "watch", "patch", "delete", "deletecollection":
	default:
		verb = "other"
	}
	sub := r.Subresource
	if r.Sub == nil {
		sub = ""
	}
	scope := "cluster"
	switch {
	case r.Name != "":
		scope = "resource"
	case r.Namespace != "":
		scope = "namespace"
	}
	return []string{verb, r.Resource.Version.Group, r.Resource.Version.Version, r.Kind.Plural, sub, scope, "apiserver"}
}

// observe counts a request that has been answered.
func observe(w *responseWriter, r *request.Request) {
	labels := labelsOf(r)
	dryRun := ""
	if len(r.Query["dryRun"]) > 0 {
		dryRun = "All"
	}
	requestTotal.WithLabelValues(append(labels[:len(labels):len(labels)], strconv.Itoa(w.code), dryRun)...).Inc()
	if r.LongRunning() {
		return
	}
	requestSeconds.WithLabelValues(append(labels[:len(labels):len(labels)], dryRun)...).Observe(time.Since(w.start).Seconds())
	if r.Method == http.MethodGet && r.IsResource {
		responseBytes.WithLabelValues(labels...).Observe(float64(w.size))
	}
}

func (g *gateway) metrics(w http.ResponseWriter, r *request.Request) error {
	promhttp.Handler().ServeHTTP(w, r.Request)
	return nil
}
