package job

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema/batch"
)

// cronPlan is what to do for a cron job.
type cronPlan struct {
	cj  *batchv1.CronJob
	now time.Time
	// deletions are executed first, then creation. status is written even where they fail.
	deletions, creation, status []controller.Action
	// events are recorded in any case.
	events []controller.Event
	// after is when the next job is due; 0: none is.
	after time.Duration
	next  batchv1.CronJobStatus
}

// planCronJob decides about the jobs of a cron job. jobs are those that it controls, gone those of its status that do not exist.
func planCronJob(cj *batchv1.CronJob, jobs []*batchv1.Job, gone map[types.UID]bool, now time.Time) *cronPlan {
	p := &cronPlan{cj: cj, now: now, next: *cj.Status.DeepCopy()}
	for _, j := range jobs {
		p.observe(j)
	}
	for _, ref := range slices.Clone(p.next.Active) {
		if gone[ref.UID] {
			p.event(false, "MissingJob", "Active job went missing: %v", ref.Name)
			p.inactive(ref.UID)
		}
	}
	if cj.DeletionTimestamp == nil {
		p.schedule()
	}
	p.trimHistory(jobs)
	if !equality.Semantic.DeepEqual(p.next, cj.Status) {
		c := *cj
		c.Status = p.next
		p.status = []controller.Action{{Do: controller.UpdateStatus, Kind: batch.CronJob, Object: &c, Reason: fmt.Sprintf("%d active jobs", len(p.next.Active))}}
	}
	return p
}

func (p *cronPlan) event(warning bool, reason, format string, args ...any) {
	p.events = append(p.events, controller.Event{Kind: batch.CronJob, About: p.cj, Warning: warning, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (p *cronPlan) isActive(uid types.UID) bool {
	return slices.ContainsFunc(p.next.Active, func(r corev1.ObjectReference) bool { return r.UID == uid })
}

func (p *cronPlan) inactive(uid types.UID) {
	p.next.Active = slices.DeleteFunc(p.next.Active, func(r corev1.ObjectReference) bool { return r.UID == uid })
}

// observe brings the status to what a job says: one that was made for a time and is not in the status was made just before it was to be
// written.
func (p *cronPlan) observe(j *batchv1.Job) {
	at, scheduled := scheduledTime(p.cj, j)
	made := scheduled && (p.next.LastScheduleTime == nil || at.After(p.next.LastScheduleTime.Time))
	if made {
		p.next.LastScheduleTime = ptr.To(metav1.NewTime(at))
	}
	active, finished := p.isActive(j.UID), finishedCondition(j)
	switch {
	case finished != nil:
		if active || made {
			p.inactive(j.UID)
			p.event(false, "SawCompletedJob", "Saw completed job: %s, condition: %v", j.Name, finished.Type)
		}
		if t := j.Status.CompletionTime; finished.Type == batchv1.JobComplete && t != nil &&
			(p.next.LastSuccessfulTime == nil || t.After(p.next.LastSuccessfulTime.Time)) {
			p.next.LastSuccessfulTime = t
		}
	case active, j.DeletionTimestamp != nil:
	case scheduled:
		p.next.Active = append(p.next.Active, corev1.ObjectReference{Kind: batch.Job.Kind, APIVersion: batch.Job.APIVersion(),
			Namespace: j.Namespace, Name: j.Name, UID: j.UID, ResourceVersion: j.ResourceVersion})
	default:
		p.event(true, "UnexpectedJob", "Saw a job that the controller did not create or forgot: %s", j.Name)
	}
}

// schedule makes the job that is due.
func (p *cronPlan) schedule() {
	spec := &p.cj.Spec
	zone, err := location(p.cj)
	if err != nil {
		p.event(true, "UnknownTimeZone", "invalid timeZone: %q: %s", ptr.Deref(spec.TimeZone, ""), err)
		return
	}
	if ptr.Deref(spec.Suspend, false) {
		return
	}
	if strings.Contains(spec.Schedule, "TZ") {
		p.event(true, "UnsupportedSchedule", "CRON_TZ or TZ used in schedule %q is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details", spec.Schedule)
	}
	s, err := parseSchedule(p.cj)
	if err != nil {
		p.event(true, "UnparseableSchedule", "unparseable schedule: %q : %s", spec.Schedule, err)
		return
	}
	c := *p.cj
	c.Status = p.next
	_, at, missed, err := lastTime(&c, s, p.now, true)
	if err != nil {
		p.event(true, "InvalidSchedule", "invalid schedule: %s : %s", spec.Schedule, err)
		return
	}
	p.after = untilNext(&c, s, p.now)
	if at.IsZero() {
		return
	}
	if missed > manyMissed {
		p.event(true, "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew")
	}
	if p.mayStart(at) {
		p.replace()
		p.create(at, zone)
	}
}

// mayStart returns whether the job of a time is to be made now.
func (p *cronPlan) mayStart(at time.Time) bool {
	spec, name := &p.cj.Spec, jobName(p.cj, at)
	if seconds := spec.StartingDeadlineSeconds; seconds != nil && at.Add(time.Duration(*seconds)*time.Second).Before(p.now) {
		p.event(true, "MissSchedule", "Missed scheduled time to start a job: %s", at.UTC().Format(time.RFC1123Z))
		return false
	}
	if slices.ContainsFunc(p.next.Active, func(r corev1.ObjectReference) bool { return r.Name == name }) || p.next.LastScheduleTime.Equal(&metav1.Time{Time: at}) {
		return false
	}
	if spec.ConcurrencyPolicy == batchv1.ForbidConcurrent && len(p.next.Active) > 0 {
		p.event(false, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
		return false
	}
	return true
}

// replace deletes the active jobs where the next one replaces them.
func (p *cronPlan) replace() {
	if p.cj.Spec.ConcurrencyPolicy != batchv1.ReplaceConcurrent {
		return
	}
	for _, ref := range p.next.Active {
		p.delete(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID}}, "the next job replaces it")
	}
	p.next.Active = nil
}

func (p *cronPlan) delete(j *batchv1.Job, reason string) {
	p.deletions = append(p.deletions, controller.Action{Do: controller.Delete, Kind: batch.Job, Object: j, Reason: reason,
		DeleteOptions: registry.DeleteOptions{Propagation: string(metav1.DeletePropagationBackground)},
		Event:         &controller.Event{Kind: batch.CronJob, About: p.cj, Reason: "SuccessfulDelete", Message: "Deleted job " + j.Name}})
}

func (p *cronPlan) create(at time.Time, zone *time.Location) {
	t := &p.cj.Spec.JobTemplate
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.cj.Namespace, Name: jobName(p.cj, at), Labels: maps.Clone(t.Labels), Annotations: cloneOrNew(t.Annotations),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(p.cj, batch.CronJob.GVK())},
		},
		Spec: *t.Spec.DeepCopy(),
	}
	j.Annotations[batchv1.CronJobScheduledTimestampAnnotation] = at.In(zone).Format(time.RFC3339)
	p.creation = append(p.creation, controller.Action{Do: controller.Create, Kind: batch.Job, Object: j, Reason: "scheduled for " + at.UTC().Format(time.RFC3339),
		Event: &controller.Event{Kind: batch.CronJob, About: p.cj, Reason: "SuccessfulCreate", Message: "Created job " + j.Name}})
}

// trimHistory deletes the oldest jobs that finished, beyond what is kept of those that succeeded and of those that failed.
func (p *cronPlan) trimHistory(jobs []*batchv1.Job) {
	for _, kept := range []struct {
		limit *int32
		as    batchv1.JobConditionType
	}{{p.cj.Spec.SuccessfulJobsHistoryLimit, batchv1.JobComplete}, {p.cj.Spec.FailedJobsHistoryLimit, batchv1.JobFailed}} {
		if kept.limit == nil {
			continue
		}
		var ended []*batchv1.Job
		for _, j := range jobs {
			if c := finishedCondition(j); c != nil && c.Type == kept.as {
				ended = append(ended, j)
			}
		}
		slices.SortFunc(ended, byStart)
		for _, j := range ended[:max(0, len(ended)-int(*kept.limit))] {
			if j.DeletionTimestamp == nil {
				p.delete(j, fmt.Sprintf("more than %d %s jobs", *kept.limit, kept.as))
			}
		}
	}
}

// byStart compares jobs by when they started; those that did not are last.
func byStart(a, b *batchv1.Job) int {
	s, t := a.Status.StartTime, b.Status.StartTime
	switch {
	case s == nil && t == nil || s.Equal(t):
		return cmp.Compare(a.Name, b.Name)
	case s == nil:
		return 1
	case t == nil:
		return -1
	}
	return s.Compare(t.Time)
}
