package job

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	batchv1 "k8s.io/api/batch/v1"

	"gantry/agents/controllers/controller"
)

// The metrics, under the names that kube-controller-manager gives them.
var (
	jobSyncs = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "job_controller_job_syncs_total", Help: "Reconciliations of jobs, by result and by what was done: pods_created, pods_deleted, tracking, reconciling (the job ends).",
	}, []string{"completion_mode", "result", "action"})
	jobSyncDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "job_controller_job_sync_duration_seconds", Help: "Time of a reconciliation of a job.",
		Buckets: prometheus.ExponentialBuckets(0.004, 2, 15),
	}, []string{"completion_mode", "result", "action"})
	jobsFinished = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "job_controller_jobs_finished_total", Help: "Jobs that ended, by result: succeeded, failed.",
	}, []string{"completion_mode", "result", "reason"})
	jobPodsFinished = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "job_controller_job_pods_finished_total", Help: "Pods of jobs that were counted, by result: succeeded, failed.",
	}, []string{"completion_mode", "result"})
	jobCreationSkew = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "cronjob_controller_job_creation_skew_duration_seconds", Help: "Time from when a job of a cron job was due until it was made.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 10),
	})
)

// observeSync counts a reconciliation of e's job that began at e.now.
func (e *evaluation) observeSync(pods []controller.Action, failed bool) {
	result, action := "success", "tracking"
	if failed {
		result = "error"
	}
	switch {
	case e.finish != nil:
		action = "reconciling"
	case len(pods) > 0 && pods[0].Do == controller.Create:
		action = "pods_created"
	case len(pods) > 0:
		action = "pods_deleted"
	}
	mode := completionMode(e.job)
	jobSyncs.WithLabelValues(mode, result, action).Inc()
	jobSyncDuration.WithLabelValues(mode, result, action).Observe(time.Since(e.now).Seconds())
}

// observeStatus counts what a status that was written says more than the one before.
func (e *evaluation) observeStatus() {
	mode := completionMode(e.job)
	jobPodsFinished.WithLabelValues(mode, "succeeded").Add(float64(max(0, e.status.Succeeded-e.job.Status.Succeeded)))
	jobPodsFinished.WithLabelValues(mode, "failed").Add(float64(max(0, e.status.Failed-e.job.Status.Failed)))
	ended := batchv1.Job{Status: e.status}
	c := finishedCondition(&ended)
	switch {
	case c == nil:
	case c.Type == batchv1.JobComplete:
		jobsFinished.WithLabelValues(mode, "succeeded", c.Reason).Inc()
	default:
		jobsFinished.WithLabelValues(mode, "failed", c.Reason).Inc()
	}
}

func completionMode(job *batchv1.Job) string {
	if isIndexed(job) {
		return string(batchv1.IndexedCompletion)
	}
	return string(batchv1.NonIndexedCompletion)
}
