package scheduling

import (
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var priorityClassColumns = priorityClassColumnsOf(schedulingv1.PriorityClass{}.SwaggerDoc())

func priorityClassColumnsOf(doc map[string]string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.NumberColumn("Value", doc["value"]),
		{Name: "Global-Default", Type: "boolean", Description: doc["globalDefault"]},
		schema.AgeColumn(),
		schema.TextColumn("PreemptionPolicy", doc["preemptionPolicy"]),
	}
}

func priorityClassRow(obj schema.Object, now metav1.Time) []any {
	c := obj.(*schedulingv1.PriorityClass)
	policy := ""
	if c.PreemptionPolicy != nil {
		policy = string(*c.PreemptionPolicy)
	}
	return []any{c.Name, int64(c.Value), c.GlobalDefault, schema.Age(c.CreationTimestamp, now), policy}
}
