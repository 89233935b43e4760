package core

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Event is the kind of events.
var Event = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "Event",
		New:     func() schema.Object { return &corev1.Event{} },
		NewList: func() runtime.Object { return &corev1.EventList{} },
		Columns: eventColumns, Row: eventRow,
		Fields: eventFields,
	},
	Versions: []*schema.Version{&eventsV1},

	Plural: "events", Singular: "event", ShortNames: []string{"ev"}, Categories: []string{},
	UpdateMeta: schema.MetaOfNone,
	Namespaced: true,
	Prefix:     "events",

	UnconditionalUpdate: true,
	CreateOnUpdate:      true,

	Validate:       schema.Validation(validateEvent),
	ValidateUpdate: schema.UpdateValidation(validateEventUpdate),
}

var eventFields = []schema.Field{
	schema.FieldOf("involvedObject.kind", func(e *corev1.Event) string { return e.InvolvedObject.Kind }),
	schema.FieldOf("involvedObject.namespace", func(e *corev1.Event) string { return e.InvolvedObject.Namespace }),
	schema.FieldOf("involvedObject.name", func(e *corev1.Event) string { return e.InvolvedObject.Name }),
	schema.FieldOf("involvedObject.uid", func(e *corev1.Event) string { return string(e.InvolvedObject.UID) }),
	schema.FieldOf("involvedObject.apiVersion", func(e *corev1.Event) string { return e.InvolvedObject.APIVersion }),
	schema.FieldOf("involvedObject.resourceVersion", func(e *corev1.Event) string { return e.InvolvedObject.ResourceVersion }),
	schema.FieldOf("involvedObject.fieldPath", func(e *corev1.Event) string { return e.InvolvedObject.FieldPath }),
	schema.FieldOf("reason", func(e *corev1.Event) string { return e.Reason }),
	schema.FieldOf("reportingComponent", func(e *corev1.Event) string { return e.ReportingController }),
	schema.FieldOf("source", reporterOf),
	schema.FieldOf("type", func(e *corev1.Event) string { return e.Type }),
}

func reporterOf(e *corev1.Event) string { return cmp.Or(e.Source.Component, e.ReportingController) }
