package batch

import (
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
	"gantry/schema/core"
)

var cronJobColumns = cronJobColumnsOf(batchv1.CronJobSpec{}.SwaggerDoc(), batchv1.CronJobStatus{}.SwaggerDoc())

func cronJobColumnsOf(spec, status map[string]string) []metav1.TableColumnDefinition {
	return append([]metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.TextColumn("Schedule", spec["schedule"]),
		schema.TextColumn("Timezone", spec["timeZone"]),
		{Name: "Suspend", Type: "boolean", Description: spec["suspend"]},
		schema.NumberColumn("Active", status["active"]),
		schema.TextColumn("Last Schedule", status["lastScheduleTime"]),
		schema.AgeColumn(),
	}, core.TemplateColumns(selectorDoc)...)
}

func cronJobRow(obj schema.Object, now metav1.Time) []any {
	c := obj.(*batchv1.CronJob)
	zone, last, suspend := schema.Unset, schema.Unset, "<unset>"
	if c.Spec.TimeZone != nil {
		zone = *c.Spec.TimeZone
	}
	if c.Status.LastScheduleTime != nil {
		last = schema.Age(*c.Status.LastScheduleTime, now)
	}
	if s := c.Spec.Suspend; s != nil {
		suspend = map[bool]string{true: "True", false: "False"}[*s]
	}
	job := &c.Spec.JobTemplate.Spec
	return append([]any{
		c.Name,
		c.Spec.Schedule,
		zone,
		suspend,
		int64(len(c.Status.Active)),
		last,
		schema.Age(c.CreationTimestamp, now),
	}, core.TemplateCells(&job.Template, job.Selector)...)
}
