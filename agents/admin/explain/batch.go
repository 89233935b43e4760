package explain

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema/batch"
	"gantry/schema/core"
)

// job explains a job by its conditions and by the pods that have not ended.
func (x *explainer) job(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	j := e.Object.(*batchv1.Job)
	s := &j.Status
	var end *batchv1.JobCondition
	for i := range s.Conditions {
		if c := &s.Conditions[i]; c.Status == corev1.ConditionTrue && c.Type != batchv1.JobSuspended {
			end = c
		}
	}
	failed := end != nil && (end.Type == batchv1.JobFailed || end.Type == batchv1.JobFailureTarget)
	x.add(depth, end != nil && !failed, e, "%s: %d of %d succeeded, %d active, %d failed", x.title(e), s.Succeeded, orOne(j.Spec.Completions), s.Active, s.Failed)
	if end != nil {
		x.add(depth+1, !failed, e, "condition %s since %s: %s %s", end.Type, x.since(end.LastTransitionTime.Time), end.Reason, firstLine(end.Message))
	}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		x.add(depth+1, false, e, "it is suspended: spec.suspend is true")
		return
	}
	if j.Spec.ManagedBy != nil && *j.Spec.ManagedBy != batchv1.JobControllerName {
		x.add(depth+1, false, e, "spec.managedBy leaves it to %q, which is not part of Gantry", *j.Spec.ManagedBy)
		return
	}
	if end == nil {
		_, bad := x.podsOf(e)
		if s.StartTime == nil {
			x.add(depth+1, false, e, "the controller has not started it yet")
			x.agentMissing(depth+2, "controllers", "starts it")
		}
		x.some(depth+1, bad, x.pod)
	}
	if failed {
		x.some(depth+1, x.failedPods(e), x.pod)
	}
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}

func (x *explainer) failedPods(owner *snapshot.Entry) (all []*snapshot.Entry) {
	for _, e := range x.controlledBy(core.Pod, owner) {
		if e.Object.(*corev1.Pod).Status.Phase == corev1.PodFailed {
			all = append(all, e)
		}
	}
	return all
}

// cronJob explains a cron job by its schedule and its active jobs.
func (x *explainer) cronJob(depth int, e *snapshot.Entry) {
	if x.deletion(depth, e) {
		return
	}
	c := e.Object.(*batchv1.CronJob)
	suspended := c.Spec.Suspend != nil && *c.Spec.Suspend
	last := "never scheduled yet"
	if t := c.Status.LastScheduleTime; t != nil {
		last = "last scheduled " + x.since(t.Time) + " ago"
	}
	if t := c.Status.LastSuccessfulTime; t != nil {
		last += ", last success " + x.since(t.Time) + " ago"
	}
	zone := "UTC or the zone of the controllers"
	if c.Spec.TimeZone != nil {
		zone = *c.Spec.TimeZone
		if _, err := time.LoadLocation(zone); err != nil {
			x.add(depth, false, e, "%s: its time zone %q is not known, no job is made", x.title(e), zone)
			return
		}
	}
	jobs := x.controlledBy(batch.Job, e)
	x.add(depth, !suspended, e, "%s: schedule %q (%s), %s, %d active, %d jobs kept", x.title(e), c.Spec.Schedule, zone, last, len(c.Status.Active), len(jobs))
	if suspended {
		x.add(depth+1, false, e, "it is suspended: spec.suspend is true")
	}
	if len(c.Status.Active) > 0 && c.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent {
		x.add(depth+1, false, e, "concurrencyPolicy Forbid: no job is made while one is active")
	}
	x.agentMissing(depth+1, "controllers", "makes the jobs")
	var open []*snapshot.Entry
	for _, job := range jobs {
		if j := job.Object.(*batchv1.Job); j.Status.CompletionTime == nil {
			open = append(open, job)
		}
	}
	x.some(depth+1, open, x.job)
	if depth == 0 {
		x.warnings(depth+1, e)
	}
}
