package batch

import (
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// maxCronJobName leaves room for what the controller appends to make a job's name, "-" and ten digits, in a label.
const maxCronJobName = 52

func validateCronJob(c *batchv1.CronJob) field.ErrorList {
	f := checkCronJob(c, nil)
	if len(c.Name) > maxCronJobName {
		f.Invalid(field.NewPath("metadata", "name"), c.Name, "must be no more than 52 characters")
	}
	return f.List
}

func validateCronJobUpdate(c, old *batchv1.CronJob) field.ErrorList {
	return checkCronJob(c, &old.Spec).List
}

// checkCronJob checks the spec. What a job gets from the controller, its template may not have.
func checkCronJob(c *batchv1.CronJob, old *batchv1.CronJobSpec) *check.Errors {
	var f check.Errors
	spec, p := &c.Spec, specPath
	checkSchedule(&f, spec.Schedule, spec.TimeZone, old != nil && strings.Contains(old.Schedule, "TZ"), p.Child("schedule"))
	if n := spec.StartingDeadlineSeconds; n != nil {
		f.NotNegative(p.Child("startingDeadlineSeconds"), *n)
	}
	if old == nil || !ptr.Equal(old.TimeZone, spec.TimeZone) {
		checkTimeZone(&f, spec.TimeZone, p.Child("timeZone"))
	}
	check.SetOneOf(&f, p.Child("concurrencyPolicy"), spec.ConcurrencyPolicy, batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent)
	job, at := &spec.JobTemplate.Spec, p.Child("jobTemplate", "spec")
	checkSpec(&f, job, at)
	if job.Selector != nil {
		f.Invalid(at.Child("selector"), job.Selector, "`selector` will be auto-generated")
	}
	if m := job.ManualSelector; m != nil && *m {
		f.Add(field.NotSupported(at.Child("manualSelector"), m, []string{"nil", "false"}))
	}
	notNegative(&f, spec.SuccessfulJobsHistoryLimit, p, "successfulJobsHistoryLimit")
	notNegative(&f, spec.FailedJobsHistoryLimit, p, "failedJobsHistoryLimit")
	return &f
}

// validateCronJobStatus allows everything, as Kubernetes does.
func validateCronJobStatus(_, _ *batchv1.CronJob) field.ErrorList { return nil }

// cronJobWarnings names the schedule of an update as Kubernetes does.
func cronJobWarnings(c, old *batchv1.CronJob) (w []string) {
	if old == nil {
		w = core.NameWarnings(c.Name)
	}
	if old == nil || c.Generation != old.Generation {
		w = append(w, specWarnings(&c.Spec.JobTemplate.Spec, specPath.Child("jobTemplate", "spec"))...)
	}
	if old != nil && strings.Contains(c.Spec.Schedule, "TZ") {
		w = append(w, "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details")
	}
	return w
}

func boundCronJob(c *batchv1.CronJob) (errs field.ErrorList) {
	if len(c.Spec.Schedule) > maxSchedule {
		errs = append(errs, field.TooLong(specPath.Child("schedule"), "", maxSchedule))
	}
	return append(errs, core.BoundPodSpec(&c.Spec.JobTemplate.Spec.Template.Spec, specPath.Child("jobTemplate", "spec", "template", "spec"))...)
}
