package core

import (
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

// validateEventsV1 checks an event that is written in events.k8s.io/v1; old is nil for a create. Beside the rules of every version:
//   - the name is a DNS subdomain, the type Normal or Warning, eventTime is set;
//   - a series has at least two occurrences and the time of the last;
//   - the deprecated fields are not set;
//   - an update changes the series alone.
//
// Paths are those of the stored version, as Kubernetes writes them.
func validateEventsV1(obj, old schema.Object) field.ErrorList {
	e := obj.(*corev1.Event)
	f := checkEvent(e, "reportingController")
	f.Add(schema.ValidateObjectMeta(obj, old, true, nameIsSubdomain)...)
	if old != nil {
		checkEventUpdate(&f, e, old.(*corev1.Event))
		return f.List
	}
	checkSeries(&f, e.Series)
	if e.EventTime.IsZero() {
		f.Required(field.NewPath("eventTime"), "")
	}
	if e.Type != corev1.EventTypeNormal && e.Type != corev1.EventTypeWarning {
		f.Invalid(field.NewPath("type"), "", fmt.Sprintf("has invalid value: %v", e.Type))
	}
	for _, deprecated := range []struct {
		name string
		set  bool
	}{
		{"firstTimestamp", !e.FirstTimestamp.IsZero()}, {"lastTimestamp", !e.LastTimestamp.IsZero()}, {"count", e.Count != 0},
		{"source", e.Source != corev1.EventSource{}},
	} {
		if deprecated.set {
			f.Invalid(field.NewPath(deprecated.name), "", "needs to be unset")
		}
	}
	return f.List
}

func checkEventUpdate(f *check.Errors, e, old *corev1.Event) {
	if !reflect.DeepEqual(e.Series, old.Series) {
		checkSeries(f, e.Series)
	}
	same := func(name string, value, before any) { f.Same(field.NewPath(name), value, before) }
	same("involvedObject", shownReference(e.InvolvedObject), shownReference(old.InvolvedObject))
	same("reason", e.Reason, old.Reason)
	same("message", e.Message, old.Message)
	same("source", shownSource(e.Source), shownSource(old.Source))
	same("firstTimestamp", e.FirstTimestamp, old.FirstTimestamp)
	same("lastTimestamp", e.LastTimestamp, old.LastTimestamp)
	same("count", e.Count, old.Count)
	same("reason", e.Reason, old.Reason)
	same("type", e.Type, old.Type)
	if !e.EventTime.Truncate(time.Microsecond).Equal(old.EventTime.Truncate(time.Microsecond)) {
		same("eventTime", e.EventTime, old.EventTime)
	}
	same("action", e.Action, old.Action)
	same("related", (*shownReference)(e.Related), (*shownReference)(old.Related))
	same("reportingController", e.ReportingController, old.ReportingController)
	same("reportingInstance", e.ReportingInstance, old.ReportingInstance)
}

// shownReference and shownSource are what they are in Kubernetes' errors, which show them by the names of their Go fields.
type shownReference struct {
	Kind            string
	Namespace       string
	Name            string
	UID             types.UID
	APIVersion      string
	ResourceVersion string
	FieldPath       string
}

type shownSource struct{ Component, Host string }

func checkSeries(f *check.Errors, s *corev1.EventSeries) {
	if s == nil {
		return
	}
	if s.Count < 2 {
		f.Invalid(field.NewPath("series.count"), "", "should be at least 2")
	}
	if s.LastObservedTime.IsZero() {
		f.Required(field.NewPath("series.lastObservedTime"), "")
	}
}
