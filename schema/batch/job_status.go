package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"gantry/schema/internal/check"
)

// jobStatusCheck is one validation of a new status. Most rules hold for what the write changes only: what another controller wrote
// before, or what a change of the spec made wrong, does not prevent the next write.
type jobStatusCheck struct {
	check.Errors
	job, old                                          *batchv1.Job
	p                                                 *field.Path
	complete, failed, finished, successMet, failing   bool // of the new status
	completeChanged, failedChanged, finishedChanged   bool
	startChanged, completionChanged, completedChanged bool
	failedIndexesChanged, activeChanged               bool
}

func validateJobStatus(j, old *batchv1.Job) field.ErrorList {
	is, was := &j.Status, &old.Status
	c := &jobStatusCheck{job: j, old: old, p: field.NewPath("status")}
	c.complete, c.failed = isTrue(j, batchv1.JobComplete), isTrue(j, batchv1.JobFailed)
	c.successMet, c.failing = isTrue(j, batchv1.JobSuccessCriteriaMet), isTrue(j, batchv1.JobFailureTarget)
	c.finished = c.complete || c.failed
	c.completeChanged = c.complete != isTrue(old, batchv1.JobComplete)
	c.failedChanged = c.failed != isTrue(old, batchv1.JobFailed)
	c.finishedChanged = c.finished != (isTrue(old, batchv1.JobComplete) || isTrue(old, batchv1.JobFailed))
	c.startChanged = !is.StartTime.Equal(was.StartTime)
	c.completionChanged = !is.CompletionTime.Equal(was.CompletionTime)
	c.completedChanged = was.CompletedIndexes != is.CompletedIndexes
	c.failedIndexesChanged = !ptr.Equal(was.FailedIndexes, is.FailedIndexes)
	c.activeChanged = was.Active != is.Active

	c.counters()
	c.uncounted()
	c.times()
	c.conditions()
	c.finishedJob()
	c.indexes()
	c.pods()
	c.outcome()
	c.transitions()
	return c.List
}

func isTrue(j *batchv1.Job, t batchv1.JobConditionType) bool { return has(j, t, corev1.ConditionTrue) }

func has(j *batchv1.Job, t batchv1.JobConditionType, status corev1.ConditionStatus) bool {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Type == t && c.Status == status {
			return true
		}
	}
	return false
}

// condition is an error of the conditions as a whole.
func (c *jobStatusCheck) condition(wrong bool, detail string) {
	if wrong {
		c.Invalid(c.p.Child("conditions"), field.OmitValueType{}, detail)
	}
}

func (c *jobStatusCheck) counters() {
	s := &c.job.Status
	c.NotNegative(c.p.Child("active"), int64(s.Active))
	c.NotNegative(c.p.Child("succeeded"), int64(s.Succeeded))
	c.NotNegative(c.p.Child("failed"), int64(s.Failed))
	notNegative(&c.Errors, s.Ready, c.p, "ready")
	notNegative(&c.Errors, s.Terminating, c.p, "terminating")
}

func (c *jobStatusCheck) uncounted() {
	u := c.job.Status.UncountedTerminatedPods
	if u == nil {
		return
	}
	p, seen := c.p.Child("uncountedTerminatedPods"), map[types.UID]bool{}
	for _, l := range []struct {
		name string
		uids []types.UID
	}{{"succeeded", u.Succeeded}, {"failed", u.Failed}} {
		for i, uid := range l.uids {
			switch {
			case uid == "":
				c.Invalid(p.Child(l.name).Index(i), uid, "must not be empty")
			case seen[uid]:
				c.Duplicate(p.Child(l.name).Index(i), uid)
			}
			seen[uid] = true
		}
	}
}

func (c *jobStatusCheck) times() {
	s, completion := &c.job.Status, c.p.Child("completionTime")
	failureChanged := c.failing != isTrue(c.old, batchv1.JobFailureTarget)
	c.condition((c.completeChanged || c.failedChanged) && c.complete && c.failed, "cannot set Complete=True and Failed=true conditions")
	c.condition((c.completeChanged || failureChanged) && c.complete && c.failing, "cannot set Complete=True and FailureTarget=true conditions")
	if c.completeChanged || c.completionChanged {
		switch {
		case s.CompletionTime != nil && !c.complete:
			c.Invalid(completion, s.CompletionTime, "cannot set completionTime when there is no Complete=True condition")
		case s.CompletionTime == nil && c.complete:
			c.Required(completion, "completionTime is required for Complete jobs")
		}
	}
	if (c.startChanged || c.completionChanged) && s.StartTime != nil && s.CompletionTime != nil && s.CompletionTime.Before(s.StartTime) {
		c.Invalid(completion, s.CompletionTime, "must be equal to or after `startTime`")
	}
}

func (c *jobStatusCheck) conditions() {
	successChanged := c.successMet != isTrue(c.old, batchv1.JobSuccessCriteriaMet)
	c.condition((c.failedChanged || c.failedIndexesChanged) && c.failed && !c.failing, "cannot set Failed=True condition without the FailureTarget=true condition")
	c.condition((c.completeChanged || successChanged) && c.complete && !c.successMet, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
}

func (c *jobStatusCheck) finishedJob() {
	if !c.finished {
		return
	}
	s, spec := &c.job.Status, &c.job.Spec
	if (c.finishedChanged || c.activeChanged) && s.Active > 0 {
		c.Invalid(c.p.Child("active"), s.Active, "active>0 is invalid for finished job")
	}
	nothingToDo := ptr.Deref(spec.Suspend, false) && spec.Completions != nil && *spec.Completions == 0
	if (c.finishedChanged || c.startChanged) && !nothingToDo && s.StartTime == nil {
		c.Required(c.p.Child("startTime"), "startTime is required for finished job")
	}
	uncountedChanged := !equality.Semantic.DeepEqual(c.old.Status.UncountedTerminatedPods, s.UncountedTerminatedPods)
	if u := s.UncountedTerminatedPods; (c.finishedChanged || uncountedChanged) && u != nil && len(u.Failed)+len(u.Succeeded) > 0 {
		c.Invalid(c.p.Child("uncountedTerminatedPods"), check.Quoted(u), "must be empty for finished job")
	}
}

func (c *jobStatusCheck) indexes() {
	s, spec := &c.job.Status, &c.job.Spec
	completed, failed := c.p.Child("completedIndexes"), c.p.Child("failedIndexes")
	n, perIndex := spec.Completions, spec.BackoffLimitPerIndex != nil
	if c.completedChanged && n != nil {
		if _, err := countIndexes(s.CompletedIndexes, *n); err != nil {
			c.Invalid(completed, s.CompletedIndexes, fmt.Sprintf("error parsing completedIndexes: %s", err))
		}
	}
	if c.failedIndexesChanged && n != nil && perIndex && s.FailedIndexes != nil {
		if _, err := countIndexes(*s.FailedIndexes, *n); err != nil {
			c.Invalid(failed, s.FailedIndexes, fmt.Sprintf("error parsing failedIndexes: %s", err))
		}
	}
	if c.completedChanged && s.CompletedIndexes != "" && !isIndexed(spec) {
		c.Invalid(completed, s.CompletedIndexes, "cannot set non-empty completedIndexes when non-indexed completion mode")
	}
	if c.failedIndexesChanged && !perIndex && s.FailedIndexes != nil {
		c.Invalid(failed, *s.FailedIndexes, "cannot set non-null failedIndexes when backoffLimitPerIndex is null")
	}
	if (c.completedChanged || c.failedIndexesChanged) && n != nil && s.FailedIndexes != nil {
		if index, shared := firstShared(s.CompletedIndexes, *s.FailedIndexes, *n); shared {
			c.Invalid(failed, *s.FailedIndexes, fmt.Sprintf("failedIndexes and completedIndexes overlap at index: %d", index))
		}
	}
}

func (c *jobStatusCheck) pods() {
	s, was := &c.job.Status, &c.old.Status
	if t := s.Terminating; (c.finishedChanged || !ptr.Equal(was.Terminating, t)) && t != nil && *t > 0 && c.finished {
		c.Invalid(c.p.Child("terminating"), t, "terminating>0 is invalid for finished job")
	}
	if r := s.Ready; (c.activeChanged || !ptr.Equal(was.Ready, r)) && r != nil && *r > s.Active {
		c.Invalid(c.p.Child("ready"), *r, "cannot set more ready pods than active")
	}
}

func (c *jobStatusCheck) outcome() {
	c.condition(c.successMet && c.failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions")
	c.condition(c.successMet && c.failing, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
	c.condition(c.job.Spec.SuccessPolicy != nil && !c.successMet && c.complete, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
}

// transitions checks what holds between the old status and the new one.
func (c *jobStatusCheck) transitions() {
	s, was, spec := &c.job.Status, &c.old.Status, &c.job.Spec
	for _, t := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete, batchv1.JobFailureTarget} {
		c.condition(isTrue(c.old, t) && !isTrue(c.job, t), fmt.Sprintf("cannot disable the terminal %s=True condition", t))
	}
	if s.Failed < was.Failed {
		c.Invalid(c.p.Child("failed"), s.Failed, "cannot decrease the failed counter")
	}
	// A job with indexes can be scaled down: completions with parallelism.
	if scalable := isIndexed(spec) && ptr.Equal(spec.Completions, spec.Parallelism); !scalable && s.Succeeded < was.Succeeded {
		c.Invalid(c.p.Child("succeeded"), s.Succeeded, "cannot decrease the succeeded counter")
	}
	if s.CompletionTime != nil && was.CompletionTime != nil && c.completionChanged {
		c.Invalid(c.p.Child("completionTime"), s.CompletionTime, "field is immutable")
	}
	resumes := isTrue(c.old, batchv1.JobSuspended) && has(c.job, batchv1.JobSuspended, corev1.ConditionFalse)
	if c.startChanged && !resumes && was.StartTime != nil && !ptr.Deref(spec.Suspend, false) {
		c.Invalid(c.p.Child("startTime"), s.StartTime, "field is immutable for unsuspended job once set")
	}
	met := isTrue(c.old, batchv1.JobSuccessCriteriaMet)
	c.condition(met && !c.successMet, "cannot disable the SuccessCriteriaMet=True condition")
	c.condition(isTrue(c.old, batchv1.JobComplete) && !met && c.successMet, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")
}
