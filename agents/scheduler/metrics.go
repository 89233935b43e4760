package scheduler

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The metrics, under the names that Kubernetes' scheduler gives them.
var (
	pendingPods = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "scheduler_pending_pods", Help: "Pods without a node, by queue: active, backoff, unschedulable, gated.",
	}, []string{"queue"})
	attemptsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "scheduler_schedule_attempts_total", Help: "Attempts to place a pod, by result: scheduled, unschedulable, error.",
	}, []string{"result", "profile"})
	attemptDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "scheduler_scheduling_attempt_duration_seconds", Help: "Time to choose a node for a pod, without its binding.",
		Buckets: prometheus.ExponentialBuckets(10e-6, 4, 10),
	}, []string{"result", "profile"})
	sliDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "scheduler_pod_scheduling_sli_duration_seconds", Help: "Time from a pod's arrival until it is bound.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 20),
	}, []string{"attempts"})
	podAttempts = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "scheduler_pod_scheduling_attempts", Help: "Attempts until a pod was bound.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 5),
	})
	preemptionAttempts = promauto.NewCounter(prometheus.CounterOpts{
		Name: "scheduler_preemption_attempts_total", Help: "Attempts to make room by evicting pods.",
	})
	preemptionVictims = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "scheduler_preemption_victims", Help: "Pods evicted to make room for one.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 7),
	})
)

// observeAttempt counts one decision.
func (l *leader) observeAttempt(d decision, took time.Duration) {
	result := "scheduled"
	switch {
	case d.node != nil:
	case d.why.Fault != nil:
		result = "error"
	default:
		result = "unschedulable"
	}
	attemptsTotal.WithLabelValues(result, d.plugins.SchedulerName).Inc()
	attemptDuration.WithLabelValues(result, d.plugins.SchedulerName).Observe(took.Seconds())
}

// observeBound counts a pod that is bound.
func observeBound(d decision, now time.Time) {
	podAttempts.Observe(float64(d.attempt))
	label := "15+"
	if d.attempt < 15 {
		label = strconv.Itoa(d.attempt)
	}
	sliDuration.WithLabelValues(label).Observe(now.Sub(d.since).Seconds())
}

// observeQueue sets the sizes of the subqueues.
func (l *leader) observeQueue() {
	for subqueue, n := range l.state.queue.sizes() {
		pendingPods.WithLabelValues(subqueueNames[subqueue]).Set(float64(n))
	}
}
