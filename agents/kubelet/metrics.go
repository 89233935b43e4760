package kubelet

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// sandboxSeconds is how long it takes to make a pod's sandbox with its network and volumes.
var sandboxSeconds = promauto.NewHistogram(prometheus.HistogramOpts{
	Name:    "gantry_kubelet_sandbox_duration_seconds",
	Help:    "Time to make a pod's sandbox, its network and its volumes.",
	Buckets: []float64{.05, .1, .15, .2, .3, .5, 1, 2, 5, 10, 30},
})

// podStartSeconds is Kubernetes' measure of the kubelet's part of a pod's start.
var podStartSeconds = promauto.NewHistogram(prometheus.HistogramOpts{
	Name:    "kubelet_pod_start_duration_seconds",
	Help:    "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run.",
	Buckets: []float64{.1, .2, .3, .5, 1, 2, 5, 10, 30, 60, 120, 300},
})
