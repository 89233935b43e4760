package job

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"gantry/schema/pods"
)

// evaluation is a job with its pods at one time, and what follows from them. status is the next status, which the plans go on to change.
type evaluation struct {
	job  *batchv1.Job
	pods []*corev1.Pod
	now  time.Time

	// active are the pods that neither ended nor are being deleted.
	active []*corev1.Pod
	status batchv1.JobStatus
	// succeeded and failed are the pods counted, and those to be counted.
	succeeded, failed int
	// counted are the indexes that the status had as succeeded, succeededIndexes those with the new ones. Both of an indexed job only.
	counted, succeededIndexes indexes
	// failedIndexes are those of a job with backoffLimitPerIndex.
	failedIndexes indexes
	// lastFailed is, of each index without an active pod, the failed pod that the next one replaces: it is counted when that one is there.
	lastFailed map[int]*corev1.Pod
	// finish is the condition by which the job ends: SuccessCriteriaMet, or FailureTarget, or Failed where FailureTarget was written
	// before. nil: it goes on.
	finish *batchv1.JobCondition
	// backoff is how long no failed pod is replaced, of a job without backoffLimitPerIndex.
	backoff time.Duration
	// deadline is when activeDeadlineSeconds end; zero: never.
	deadline time.Time
	// tooMany tells that the job is complete with more pods than wanted.
	tooMany bool
}

// evaluate decides whether and how a job ends. deleted are the pods that failed by being deleted.
func evaluate(job *batchv1.Job, podList []*corev1.Pod, deleted map[types.UID]time.Time, now time.Time) *evaluation {
	e := &evaluation{job: job, pods: podList, now: now, status: *job.Status.DeepCopy()}
	if isIndexed(job) {
		e.pods = slices.Clone(podList)
		slices.SortStableFunc(e.pods, func(a, b *corev1.Pod) int { return indexOf(a) - indexOf(b) })
	}
	if e.status.UncountedTerminatedPods == nil {
		e.status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	}
	e.countPods()
	if e.status.StartTime == nil && !isSuspended(job) {
		e.status.StartTime = ptr.To(metav1.NewTime(now))
	}
	n, last := failures(job, podList, deleted)
	e.backoff = backoffLeft(n, last, now)

	// In this order: what was decided before, failure, success.
	e.finish = conditionTrue(&e.status, batchv1.JobSuccessCriteriaMet)
	e.failByPolicy()
	e.failByLimits()
	if isIndexed(job) {
		e.evaluateIndexes()
	}
	return e
}

// countPods counts the active pods and those that ended and are not in the status yet.
func (e *evaluation) countPods() {
	uncounted := e.status.UncountedTerminatedPods
	for _, p := range e.pods {
		// One that was named as failed because it was being deleted, and succeeded all the same.
		if p.Status.Phase == corev1.PodSucceeded && isTracked(p) {
			uncounted.Failed = slices.DeleteFunc(uncounted.Failed, func(uid types.UID) bool { return uid == p.UID })
		}
	}
	e.succeeded = int(e.status.Succeeded) + len(uncounted.Succeeded)
	e.failed = int(e.status.Failed) + len(uncounted.Failed)
	ready, terminating := int32(0), int32(0)
	for _, p := range e.pods {
		switch {
		case pods.IsTerminal(p):
		case p.DeletionTimestamp != nil:
			terminating++
		default:
			e.active = append(e.active, p)
			if pods.IsReady(p) {
				ready++
			}
		}
		if !isTracked(p) || isIndexed(e.job) && !e.validIndex(indexOf(p)) {
			continue
		}
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			if !slices.Contains(uncounted.Succeeded, p.UID) {
				e.succeeded++
			}
		case isFailed(p, e.job) && !slices.Contains(uncounted.Failed, p.UID) && !judge(e.job.Spec.PodFailurePolicy, p).ignored:
			e.failed++
		}
	}
	e.status.Active, e.status.Ready, e.status.Terminating = int32(len(e.active)), &ready, &terminating
}

// failByPolicy fails the job for FailureTarget of before, or for a rule of podFailurePolicy.
func (e *evaluation) failByPolicy() {
	if e.finish != nil {
		return
	}
	if c := conditionTrue(&e.status, batchv1.JobFailureTarget); c != nil {
		e.finish = newCondition(batchv1.JobFailed, c.Reason, c.Message, e.now)
		return
	}
	for _, p := range e.pods {
		if !isFailed(p, e.job) {
			continue
		}
		if text := judge(e.job.Spec.PodFailurePolicy, p).failJob; text != "" {
			e.fail(batchv1.JobReasonPodFailurePolicy, text)
			return
		}
	}
}

// failByLimits fails the job for backoffLimit and activeDeadlineSeconds.
func (e *evaluation) failByLimits() {
	if e.finish != nil {
		return
	}
	spec := &e.job.Spec
	if seconds := spec.ActiveDeadlineSeconds; seconds != nil && !isSuspended(e.job) {
		e.deadline = e.status.StartTime.Add(time.Duration(*seconds) * time.Second)
	}
	switch {
	case e.failed > backoffLimit(e.job), e.restartedTooOften():
		e.fail(batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit")
	case !e.deadline.IsZero() && !e.now.Before(e.deadline):
		e.fail(batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline")
	}
}

// restartedTooOften returns whether the containers of pods that are restarted in place reach the backoffLimit.
func (e *evaluation) restartedTooOften() bool {
	if e.job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	n := int32(0)
	for _, p := range e.pods {
		if p.Status.Phase == corev1.PodRunning || p.Status.Phase == corev1.PodPending {
			n += restarts(p)
		}
	}
	return n > 0 && int(n) >= backoffLimit(e.job)
}

// restarts is how often the containers of a pod were restarted.
func restarts(p *corev1.Pod) (n int32) {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		n += s.RestartCount
	}
	return n
}

// evaluateIndexes adds what is known by indexes: which succeeded, which failed, and whether that ends the job.
func (e *evaluation) evaluateIndexes() {
	completions := e.completions()
	e.counted = parseIndexes(e.status.CompletedIndexes, completions)
	e.failedIndexes = parseIndexes(ptr.Deref(e.status.FailedIndexes, ""), completions)
	done := map[int]bool{}
	for _, p := range e.pods {
		if i := indexOf(p); p.Status.Phase == corev1.PodSucceeded && isTracked(p) && e.completes(i) {
			done[i] = true
		}
	}
	e.succeededIndexes = e.counted.with(done)
	e.succeeded = e.succeededIndexes.count()
	if e.perIndex() {
		e.evaluateFailedIndexes()
	}
	if e.finish != nil {
		return
	}
	if rule := successRule(e.job.Spec.SuccessPolicy, completions, e.succeededIndexes); rule >= 0 {
		e.finish = newCondition(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonSuccessPolicy, fmt.Sprintf("Matched rules at index %d", rule), e.now)
	}
}

func (e *evaluation) evaluateFailedIndexes() {
	spec := &e.job.Spec
	failed := map[int]bool{}
	for _, p := range e.pods {
		if i := indexOf(p); isTracked(p) && e.validIndex(i) && !e.succeededIndexes.has(i) && e.failsIndex(p) {
			failed[i] = true
		}
	}
	e.failedIndexes = e.failedIndexes.with(failed)
	e.lastFailed = e.replacedPods()
	n := e.failedIndexes.count()
	switch {
	case e.finish != nil:
	case spec.MaxFailedIndexes != nil && n > int(*spec.MaxFailedIndexes):
		e.fail(batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes")
	case n > 0 && n+e.succeededIndexes.count() >= e.completions():
		e.fail(batchv1.JobReasonFailedIndexes, "Job has failed indexes")
	}
}

// failsIndex returns whether no other pod of a pod's index is made.
func (e *evaluation) failsIndex(p *corev1.Pod) bool {
	if !isFailed(p, e.job) {
		return false
	}
	v := judge(e.job.Spec.PodFailurePolicy, p)
	return v.failIndex || !v.ignored && failureCount(p) >= int(*e.job.Spec.BackoffLimitPerIndex)
}

// replacedPods are, by index, the failed pods that tell how often the index failed as long as it has no other pod.
func (e *evaluation) replacedPods() map[int]*corev1.Pod {
	active, out := indexesOf(e.active), map[int]*corev1.Pod{}
	for _, p := range e.pods {
		i := indexOf(p)
		if !isTracked(p) || !isFailed(p, e.job) || !e.validIndex(i) || active[i] || e.succeededIndexes.has(i) || e.failedIndexes.has(i) {
			continue
		}
		was := out[i]
		if was == nil || attempts(was) <= attempts(p) && !finishedAt(p).Before(finishedAt(was)) {
			out[i] = p
		}
	}
	return out
}

func attempts(p *corev1.Pod) int { return failureCount(p) + ignoredFailureCount(p) }

// fail ends the job by FailureTarget, which becomes Failed once all pods have ended.
func (e *evaluation) fail(reason, message string) {
	e.finish = newCondition(batchv1.JobFailureTarget, reason, message, e.now)
}

func (e *evaluation) completions() int { return int(ptr.Deref(e.job.Spec.Completions, 0)) }

func (e *evaluation) validIndex(i int) bool { return i != unknownIndex && i < e.completions() }

// completes returns whether an index succeeds with a pod of it. One that is written as failed does not: that pod was being deleted, and
// succeeded all the same.
func (e *evaluation) completes(i int) bool { return e.validIndex(i) && !e.failedIndexes.has(i) }

func (e *evaluation) perIndex() bool { return e.job.Spec.BackoffLimitPerIndex != nil }

// replacesFailedOnly returns whether a pod being deleted is neither failed nor replaced before it has ended.
func replacesFailedOnly(job *batchv1.Job) bool {
	return ptr.Deref(job.Spec.PodReplacementPolicy, "") == batchv1.Failed
}

// isFailed returns whether a pod counts as failed.
func isFailed(p *corev1.Pod, job *batchv1.Job) bool {
	if p.Status.Phase == corev1.PodFailed {
		return true
	}
	return !replacesFailedOnly(job) && p.DeletionTimestamp != nil && p.Status.Phase != corev1.PodSucceeded
}

// backoffLimit is how many pods may fail before the job does.
func backoffLimit(job *batchv1.Job) int { return int(ptr.Deref(job.Spec.BackoffLimit, 6)) }

// isTracked returns whether a pod is not counted yet.
func isTracked(p *corev1.Pod) bool {
	return slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer)
}

func isIndexed(job *batchv1.Job) bool {
	return ptr.Deref(job.Spec.CompletionMode, "") == batchv1.IndexedCompletion
}

func isSuspended(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Suspend, false) }

// isFinished returns whether a job is Complete or Failed.
func isFinished(job *batchv1.Job) bool { return finishedCondition(job) != nil }

// finishedCondition is a job's condition Complete or Failed; nil: it goes on.
func finishedCondition(job *batchv1.Job) *batchv1.JobCondition {
	if c := conditionTrue(&job.Status, batchv1.JobComplete); c != nil {
		return c
	}
	return conditionTrue(&job.Status, batchv1.JobFailed)
}

// conditionTrue is a copy of the condition of a type that is True; nil: there is none.
func conditionTrue(s *batchv1.JobStatus, t batchv1.JobConditionType) *batchv1.JobCondition {
	i := slices.IndexFunc(s.Conditions, func(c batchv1.JobCondition) bool { return c.Type == t && c.Status == corev1.ConditionTrue })
	if i < 0 {
		return nil
	}
	c := s.Conditions[i]
	return &c
}

// newCondition is a condition that is True.
func newCondition(t batchv1.JobConditionType, reason, message string, now time.Time) *batchv1.JobCondition {
	at := metav1.NewTime(now)
	return &batchv1.JobCondition{Type: t, Status: corev1.ConditionTrue, LastProbeTime: at, LastTransitionTime: at, Reason: reason, Message: message}
}

// setCondition replaces a condition, or adds it where its status is not False, and returns whether that changed anything.
func setCondition(s *batchv1.JobStatus, c batchv1.JobCondition) bool {
	i := slices.IndexFunc(s.Conditions, func(was batchv1.JobCondition) bool { return was.Type == c.Type })
	if i < 0 {
		if c.Status == corev1.ConditionFalse {
			return false
		}
		s.Conditions = append(s.Conditions, c)
		return true
	}
	was := &s.Conditions[i]
	if was.Status == c.Status && was.Reason == c.Reason && was.Message == c.Message {
		return false
	}
	*was = c
	return true
}
