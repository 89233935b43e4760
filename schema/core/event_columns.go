package core

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var eventColumns = eventColumnsOf(corev1.Event{}.SwaggerDoc())

func eventColumnsOf(doc map[string]string) []metav1.TableColumnDefinition {
	name := schema.NameColumn()
	name.Priority = 1
	return []metav1.TableColumnDefinition{
		schema.TextColumn("Last Seen", doc["lastTimestamp"]),
		schema.TextColumn("Type", doc["type"]),
		schema.TextColumn("Reason", doc["reason"]),
		schema.TextColumn("Object", doc["involvedObject"]),
		schema.WideColumn("Subobject", corev1.ObjectReference{}.SwaggerDoc()["fieldPath"]),
		schema.WideColumn("Source", doc["source"]),
		schema.TextColumn("Message", doc["message"]),
		schema.WideColumn("First Seen", doc["firstTimestamp"]),
		schema.WideColumn("Count", doc["count"]),
		name,
	}
}

func eventRow(obj schema.Object, now metav1.Time) []any {
	ev := obj.(*corev1.Event)
	first, last, count := eventTimes(ev)
	object := strings.ToLower(ev.InvolvedObject.Kind)
	if ev.InvolvedObject.Name != "" {
		object += "/" + ev.InvolvedObject.Name
	}
	return []any{
		schema.Age(last, now),
		ev.Type,
		ev.Reason,
		object,
		ev.InvolvedObject.FieldPath,
		eventSource(ev),
		strings.TrimSpace(ev.Message),
		schema.Age(first, now),
		count,
		ev.Name,
	}
}

// eventTimes reads both generations of events: timestamps with a count, and eventTime with a series.
func eventTimes(ev *corev1.Event) (first, last metav1.Time, count int64) {
	first, last, count = ev.FirstTimestamp, ev.LastTimestamp, int64(ev.Count)
	if first.IsZero() {
		first = metav1.Time(ev.EventTime)
	}
	if last.IsZero() {
		last = first
	}
	switch {
	case ev.Series != nil:
		return first, metav1.Time(ev.Series.LastObservedTime), int64(ev.Series.Count)
	case count == 0:
		return first, last, 1
	}
	return first, last, count
}

// eventSource is "kubelet, node-1".
func eventSource(ev *corev1.Event) string {
	component := cmp.Or(ev.Source.Component, ev.ReportingController)
	if instance := cmp.Or(ev.Source.Host, ev.ReportingInstance); instance != "" {
		return component + ", " + instance
	}
	return component
}
