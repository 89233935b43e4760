package loop

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/client-go/util/workqueue"
)

// The metrics of every loop of a process, by the loop's name; named as Kubernetes names them.
var (
	depth      = gauge("workqueue_depth", "Keys in the queue.")
	adds       = counter("workqueue_adds_total", "Keys that were added.")
	retries    = counter("workqueue_retries_total", "Keys that were added again after an error.")
	latency    = histogram("workqueue_queue_duration_seconds", "How long a key is in the queue before it is reconciled.")
	work       = histogram("workqueue_work_duration_seconds", "How long a reconcile takes.")
	unfinished = gauge("workqueue_unfinished_work_seconds", "How long the running reconciles have taken so far, together.")
	longest    = gauge("workqueue_longest_running_processor_seconds", "How long the longest running reconcile has taken so far.")
)

var byName = []string{"name"}

func gauge(name, help string) *prometheus.GaugeVec {
	return promauto.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, byName)
}

func counter(name, help string) *prometheus.CounterVec {
	return promauto.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, byName)
}

func histogram(name, help string) *prometheus.HistogramVec {
	return promauto.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(1e-5, 10, 8)}, byName)
}

// provider gives the queues their metrics.
type provider struct{}

var _ workqueue.MetricsProvider = provider{}

func (provider) NewDepthMetric(name string) workqueue.GaugeMetric { return depth.WithLabelValues(name) }

func (provider) NewAddsMetric(name string) workqueue.CounterMetric {
	return adds.WithLabelValues(name)
}

func (provider) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return latency.WithLabelValues(name)
}

func (provider) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return work.WithLabelValues(name)
}

func (provider) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return unfinished.WithLabelValues(name)
}

func (provider) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return longest.WithLabelValues(name)
}

func (provider) NewRetriesMetric(name string) workqueue.CounterMetric {
	return retries.WithLabelValues(name)
}
