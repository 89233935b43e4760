package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"gantry/schema"
	"gantry/schema/core"
)

var selectorDoc = batchv1.JobSpec{}.SwaggerDoc()["selector"]

var jobColumns = append([]metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Status", "Status of the job."),
	schema.TextColumn("Completions", batchv1.JobStatus{}.SwaggerDoc()["succeeded"]),
	schema.TextColumn("Duration", "Time required to complete the job."),
	schema.AgeColumn(),
}, core.TemplateColumns(selectorDoc)...)

func jobRow(obj schema.Object, now metav1.Time) []any {
	j := obj.(*batchv1.Job)
	return append([]any{
		j.Name,
		jobState(j),
		completions(j),
		jobDuration(&j.Status, now),
		schema.Age(j.CreationTimestamp, now),
	}, core.TemplateCells(&j.Spec.Template, j.Spec.Selector)...)
}

// completions is "2/5"; of a job whose pods decide when it is complete, "0/1 of 3".
func completions(j *batchv1.Job) string {
	if n := j.Spec.Completions; n != nil {
		return fmt.Sprintf("%d/%d", j.Status.Succeeded, *n)
	}
	if n := j.Spec.Parallelism; n != nil && *n > 1 {
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, *n)
	}
	return fmt.Sprintf("%d/1", j.Status.Succeeded)
}

func jobDuration(s *batchv1.JobStatus, now metav1.Time) string {
	switch {
	case s.StartTime == nil:
		return ""
	case s.CompletionTime == nil:
		return duration.HumanDuration(now.Sub(s.StartTime.Time))
	}
	return duration.HumanDuration(s.CompletionTime.Sub(s.StartTime.Time))
}

// jobState is the most telling of the job's conditions.
func jobState(j *batchv1.Job) string {
	is := func(t batchv1.JobConditionType) bool { return firstIsTrue(j, t) }
	switch {
	case is(batchv1.JobComplete):
		return "Complete"
	case is(batchv1.JobFailed):
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	case is(batchv1.JobSuspended):
		return "Suspended"
	case is(batchv1.JobFailureTarget):
		return "FailureTarget"
	case is(batchv1.JobSuccessCriteriaMet):
		return "SuccessCriteriaMet"
	}
	return "Running"
}

// firstIsTrue tells whether the first condition of a type is true.
func firstIsTrue(j *batchv1.Job, t batchv1.JobConditionType) bool {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Type == t {
			return c.Status == "True"
		}
	}
	return false
}
