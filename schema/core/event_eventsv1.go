package core

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// eventsV1 is events.k8s.io/v1, the other version of events: fields of core's Event under other names, and stricter rules.
var eventsV1 = schema.Version{
	Group: "events.k8s.io", Version: "v1", Kind: "Event",
	New:        func() schema.Object { return &eventsv1.Event{} },
	NewList:    func() runtime.Object { return &eventsv1.EventList{} },
	ToStored:   schema.EachTo(eventToStored),
	FromStored: schema.EachTo(eventFromStored),
	ValidateAs: validateEventsV1,
	Columns:    eventColumns,
	Row: func(obj schema.Object, now metav1.Time) []any {
		return eventRow(eventToStored(obj.(*eventsv1.Event)), now)
	},
	Fields: []schema.Field{
		{Path: "reason"},
		{Path: "regarding.kind", Stored: "involvedObject.kind"},
		{Path: "regarding.namespace", Stored: "involvedObject.namespace"},
		{Path: "regarding.name", Stored: "involvedObject.name"},
		{Path: "regarding.uid", Stored: "involvedObject.uid"},
		{Path: "regarding.apiVersion", Stored: "involvedObject.apiVersion"},
		{Path: "regarding.resourceVersion", Stored: "involvedObject.resourceVersion"},
		{Path: "regarding.fieldPath", Stored: "involvedObject.fieldPath"},
		{Path: "reportingController", Stored: "reportingComponent"},
		{Path: "type"},
	},
}

func eventToStored(in *eventsv1.Event) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:          in.ObjectMeta,
		InvolvedObject:      in.Regarding,
		Reason:              in.Reason,
		Message:             in.Note,
		Source:              in.DeprecatedSource,
		FirstTimestamp:      in.DeprecatedFirstTimestamp,
		LastTimestamp:       in.DeprecatedLastTimestamp,
		Count:               in.DeprecatedCount,
		Type:                in.Type,
		EventTime:           in.EventTime,
		Series:              (*corev1.EventSeries)(in.Series),
		Action:              in.Action,
		Related:             in.Related,
		ReportingController: in.ReportingController,
		ReportingInstance:   in.ReportingInstance,
	}
}

func eventFromStored(in *corev1.Event) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta:               in.ObjectMeta,
		EventTime:                in.EventTime,
		Series:                   (*eventsv1.EventSeries)(in.Series),
		ReportingController:      in.ReportingController,
		ReportingInstance:        in.ReportingInstance,
		Action:                   in.Action,
		Reason:                   in.Reason,
		Regarding:                in.InvolvedObject,
		Related:                  in.Related,
		Note:                     in.Message,
		Type:                     in.Type,
		DeprecatedSource:         in.Source,
		DeprecatedFirstTimestamp: in.FirstTimestamp,
		DeprecatedLastTimestamp:  in.LastTimestamp,
		DeprecatedCount:          in.Count,
	}
}
