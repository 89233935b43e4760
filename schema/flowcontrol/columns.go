package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var flowSchemaColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("PriorityLevel", flowcontrolv1.PriorityLevelConfigurationReference{}.SwaggerDoc()["name"]),
	schema.TextColumn("MatchingPrecedence", flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()["matchingPrecedence"]),
	schema.TextColumn("DistinguisherMethod", flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()["distinguisherMethod"]),
	schema.AgeColumn(),
	schema.TextColumn("MissingPL", "references a broken or non-existent PriorityLevelConfiguration"),
}

func flowSchemaRow(obj schema.Object, now metav1.Time) []any {
	s := obj.(*flowcontrolv1.FlowSchema)
	method, missing := schema.Unset, "?"
	if m := s.Spec.DistinguisherMethod; m != nil {
		method = string(m.Type)
	}
	for _, c := range s.Status.Conditions {
		if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
			missing = string(c.Status)
			break
		}
	}
	return []any{s.Name, s.Spec.PriorityLevelConfiguration.Name, int64(s.Spec.MatchingPrecedence), method, schema.Age(s.CreationTimestamp, now), missing}
}

var levelColumns = levelColumnsOf(flowcontrolv1.QueuingConfiguration{}.SwaggerDoc())

func levelColumnsOf(doc map[string]string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.TextColumn("Type", flowcontrolv1.PriorityLevelConfigurationSpec{}.SwaggerDoc()["type"]),
		schema.TextColumn("NominalConcurrencyShares", flowcontrolv1.LimitedPriorityLevelConfiguration{}.SwaggerDoc()["nominalConcurrencyShares"]),
		schema.TextColumn("Queues", doc["queues"]),
		schema.TextColumn("HandSize", doc["handSize"]),
		schema.TextColumn("QueueLengthLimit", doc["queueLengthLimit"]),
		schema.AgeColumn(),
	}
}

func levelRow(obj schema.Object, now metav1.Time) []any {
	l := obj.(*level)
	var shares, queues, hand, length any = schema.Unset, schema.Unset, schema.Unset, schema.Unset
	if limited := l.Spec.Limited; limited != nil {
		shares = int64(0)
		if n := limited.NominalConcurrencyShares; n != nil {
			shares = int64(*n)
		}
		if q := limited.LimitResponse.Queuing; q != nil {
			queues, hand, length = int64(q.Queues), int64(q.HandSize), int64(q.QueueLengthLimit)
		}
	}
	return []any{l.Name, string(l.Spec.Type), shares, queues, hand, length, schema.Age(l.CreationTimestamp, now)}
}
