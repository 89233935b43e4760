package job

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/schema/batch"
	"gantry/schema/core"
)

// maxUncounted bounds the pods that a status names at a time: their uids are 20 KB.
const maxUncounted = 500

// planStatus goes after planPods. It counts the pods that ended: the status names them, they lose the finalizer, the status counts them; and
// it ends the job once none is left. podsFailed tells that the plan of pods was not done.
func (e *evaluation) planStatus(podsFailed bool) []controller.Action {
	ending := e.finish != nil
	if podsFailed {
		e.finish = nil // pods may be left that are active
		e.recount()
	}
	var event *controller.Event
	switch {
	case ending, e.job.DeletionTimestamp != nil && !e.isComplete():
	case !podsFailed && e.isComplete():
		e.finish = newCondition(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods", e.now)
	case e.job.DeletionTimestamp == nil:
		event = e.suspendOrResume()
	}
	tracked := trackedUIDs(e.pods)
	e.countWithoutFinalizer(tracked)
	ended, all := e.nameUncounted()
	e.writeIndexes()
	terminal := e.interimCondition()

	var plan []controller.Action
	written := e.job.Status
	if len(ended) > 0 {
		if !equality.Semantic.DeepEqual(e.status, written) {
			plan = append(plan, e.statusAction("", event))
		}
		event, written = nil, *e.status.DeepCopy()
		for _, p := range ended {
			plan = append(plan, removeFinalizer(p, "counted in the job's status"))
			delete(tracked, p.UID)
		}
		e.countWithoutFinalizer(tracked)
	}
	reason := ""
	if all && terminal != nil && e.allEnded() {
		event = e.end(terminal)
		reason = string(terminal.Type) + ": " + terminal.Reason
	}
	if !equality.Semantic.DeepEqual(e.status, written) {
		plan = append(plan, e.statusAction(reason, event))
	}
	return plan
}

// allEnded returns whether no pod is terminating and every one is counted.
func (e *evaluation) allEnded() bool {
	u := e.status.UncountedTerminatedPods
	return *e.status.Terminating == 0 && len(u.Succeeded)+len(u.Failed) == 0
}

// recount takes back what planPods added to the counts.
func (e *evaluation) recount() {
	before := e.status
	e.status = *e.job.Status.DeepCopy()
	e.status.StartTime, e.status.UncountedTerminatedPods = before.StartTime, before.UncountedTerminatedPods
	succeeded, failed := e.succeeded, e.failed
	e.active = nil
	e.countPods()
	e.succeeded, e.failed = succeeded, failed
}

// isComplete returns whether enough pods have succeeded and none is active.
func (e *evaluation) isComplete() bool {
	if e.job.Spec.Completions == nil {
		return e.succeeded > 0 && e.status.Active == 0
	}
	return e.succeeded >= e.completions() && e.status.Active == 0
}

// suspendOrResume sets the condition Suspended and the time that activeDeadlineSeconds count from.
func (e *evaluation) suspendOrResume() *controller.Event {
	c := newCondition(batchv1.JobSuspended, "JobSuspended", "Job suspended", e.now)
	reason := "Suspended"
	if !isSuspended(e.job) {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "JobResumed", "Job resumed"
		reason = "Resumed"
	}
	if !setCondition(&e.status, *c) {
		return nil
	}
	e.status.StartTime = nil
	if !isSuspended(e.job) {
		e.status.StartTime = ptr.To(metav1.NewTime(e.now))
	}
	return &controller.Event{Kind: batch.Job, About: e.job, Reason: reason, Message: c.Message}
}

func trackedUIDs(podList []*corev1.Pod) map[types.UID]bool {
	out := map[types.UID]bool{}
	for _, p := range podList {
		if isTracked(p) {
			out[p.UID] = true
		}
	}
	return out
}

// countWithoutFinalizer counts the pods that the status names and that have no finalizer any more.
func (e *evaluation) countWithoutFinalizer(tracked map[types.UID]bool) {
	gone := func(uid types.UID) bool { return !tracked[uid] }
	u := e.status.UncountedTerminatedPods
	succeeded, failed := len(u.Succeeded), len(u.Failed)
	u.Succeeded, u.Failed = slices.DeleteFunc(u.Succeeded, gone), slices.DeleteFunc(u.Failed, gone)
	if !isIndexed(e.job) {
		e.status.Succeeded += int32(succeeded - len(u.Succeeded))
	}
	e.status.Failed += int32(failed - len(u.Failed))
}

// nameUncounted names the pods that ended in the status, and returns those that may lose their finalizer then. all: there are no more.
func (e *evaluation) nameUncounted() (ended []*corev1.Pod, all bool) {
	u := e.status.UncountedTerminatedPods
	done := map[int]bool{}
	e.succeededIndexes = e.counted
	for _, p := range e.pods {
		if !isTracked(p) || !e.mayLoseFinalizer(p) {
			continue
		}
		if len(done)+len(u.Succeeded)+len(u.Failed) >= maxUncounted {
			e.succeededIndexes = e.counted.with(done)
			return ended, false
		}
		ended = append(ended, p)
		i := indexOf(p)
		switch {
		case p.Status.Phase == corev1.PodSucceeded && isIndexed(e.job):
			if e.completes(i) && !e.counted.has(i) {
				done[i] = true
			}
		case p.Status.Phase == corev1.PodSucceeded:
			if !slices.Contains(u.Succeeded, p.UID) {
				u.Succeeded = append(u.Succeeded, p.UID)
			}
		case isFailed(p, e.job), e.finish != nil && e.finish.Type != batchv1.JobSuccessCriteriaMet:
			// When the job has failed, so has every pod that had not ended.
			counts := !isIndexed(e.job) || e.validIndex(i)
			if counts && !slices.Contains(u.Failed, p.UID) && !judge(e.job.Spec.PodFailurePolicy, p).ignored {
				u.Failed = append(u.Failed, p.UID)
			}
		}
	}
	e.succeededIndexes = e.counted.with(done)
	return ended, true
}

// mayLoseFinalizer returns whether a pod can be counted: it has ended, or the job does. The last failed pod of an index stays until the
// next one has taken over how often it failed.
func (e *evaluation) mayLoseFinalizer(p *corev1.Pod) bool {
	switch {
	case e.job.DeletionTimestamp != nil, e.finish != nil, p.Status.Phase == corev1.PodSucceeded:
		return true
	case !isFailed(p, e.job):
		return false
	}
	kept := e.lastFailed[indexOf(p)]
	return kept == nil || kept.UID != p.UID
}

func (e *evaluation) writeIndexes() {
	if !isIndexed(e.job) {
		return
	}
	e.status.Succeeded = int32(e.succeededIndexes.count())
	e.status.CompletedIndexes = e.succeededIndexes.String()
	e.status.FailedIndexes = nil
	if e.perIndex() {
		e.status.FailedIndexes = ptr.To(e.failedIndexes.String())
	}
}

// interimCondition adds the condition that tells how the job ends while pods have not, and returns the one that it then ends with.
func (e *evaluation) interimCondition() *batchv1.JobCondition {
	f := e.finish
	if f == nil {
		return nil
	}
	if f.Type == batchv1.JobFailed {
		return f // FailureTarget was written before
	}
	if conditionTrue(&e.status, f.Type) == nil {
		e.status.Conditions = append(e.status.Conditions, *f)
	}
	t := batchv1.JobFailed
	if f.Type == batchv1.JobSuccessCriteriaMet {
		t = batchv1.JobComplete
	}
	return newCondition(t, f.Reason, f.Message, e.now)
}

// end adds the last condition.
func (e *evaluation) end(c *batchv1.JobCondition) *controller.Event {
	setCondition(&e.status, *c)
	nothingToDo := isSuspended(e.job) && e.job.Spec.Completions != nil && *e.job.Spec.Completions == 0
	if e.status.StartTime == nil && !nothingToDo {
		e.status.StartTime = &c.LastTransitionTime // a job that failed while it was suspended
	}
	if c.Type == batchv1.JobComplete {
		e.status.CompletionTime = &c.LastTransitionTime
		e.tooMany = e.job.Spec.Completions != nil && int(e.status.Succeeded) > e.completions()
		return &controller.Event{Kind: batch.Job, About: e.job, Reason: "Completed", Message: "Job completed"}
	}
	return &controller.Event{Kind: batch.Job, About: e.job, Warning: true, Reason: c.Reason, Message: c.Message}
}

func (e *evaluation) statusAction(reason string, event *controller.Event) controller.Action {
	if reason == "" {
		u := e.status.UncountedTerminatedPods
		reason = fmt.Sprintf("%d pods active, %d succeeded, %d failed, %d to be counted", e.status.Active, e.status.Succeeded, e.status.Failed, len(u.Succeeded)+len(u.Failed))
	}
	c := *e.job
	c.Status = *e.status.DeepCopy()
	return controller.Action{Do: controller.UpdateStatus, Kind: batch.Job, Object: &c, Reason: reason, Event: event}
}

// untrack takes the finalizer from pods that no job counts any more.
func untrack(podList []*corev1.Pod, reason string) (plan []controller.Action) {
	for _, p := range podList {
		if isTracked(p) {
			plan = append(plan, removeFinalizer(p, reason))
		}
	}
	return plan
}

// withTracking changes a plan of adoptions and releases: an adopted pod gets the finalizer, a released one loses it.
func withTracking(job *batchv1.Job, plan []controller.Action) []controller.Action {
	for i := range plan {
		p := plan[i].Object.(*corev1.Pod) // the plan's own copy
		p.Finalizers = slices.DeleteFunc(p.Finalizers, func(f string) bool { return f == batchv1.JobTrackingFinalizer })
		if metav1.IsControlledBy(p, job) && plan[i].Kind == core.Pod {
			p.Finalizers = append(p.Finalizers, batchv1.JobTrackingFinalizer)
		}
	}
	return plan
}
