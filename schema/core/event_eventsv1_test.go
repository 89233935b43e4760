package core

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

func newStyleEvent() *corev1.Event {
	return &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Name: "e", Namespace: "default"},
		InvolvedObject:      corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "web"},
		EventTime:           metav1.NewMicroTime(time.Unix(1000, 0)),
		ReportingController: "a.example/c", ReportingInstance: "c-1", Action: "Binding", Reason: "Scheduled", Type: "Normal", Message: "text",
	}
}

func TestEventsV1Errors(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   func(*corev1.Event)
		want []string
	}{
		{"good", func(*corev1.Event) {}, nil},
		{"reporter", func(e *corev1.Event) { e.ReportingController = "" }, []string{
			"reportingController: Required value",
			`reportingController: Invalid value: "": name part must be non-empty`,
			`reportingController: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
		}},
		{"no time", func(e *corev1.Event) { e.EventTime = metav1.MicroTime{} }, []string{"eventTime: Required value"}},
		{"name", func(e *corev1.Event) { e.Name = strings.Repeat("a", 254) }, []string{
			`metadata.name: Invalid value: "` + strings.Repeat("a", 254) + `": must be no more than 253 characters`,
		}},
		{"series", func(e *corev1.Event) { e.Series = &corev1.EventSeries{Count: 1} },
			[]string{`series.count: Invalid value: "": should be at least 2`, "series.lastObservedTime: Required value"}},
		{"type", func(e *corev1.Event) { e.Type = "Odd" }, []string{`type: Invalid value: "": has invalid value: Odd`}},
		{"deprecated fields", func(e *corev1.Event) {
			e.FirstTimestamp, e.LastTimestamp, e.Count, e.Source.Host = metav1.Unix(1, 0), metav1.Unix(1, 0), 1, "n"
		}, []string{
			`firstTimestamp: Invalid value: "": needs to be unset`, `lastTimestamp: Invalid value: "": needs to be unset`,
			`count: Invalid value: "": needs to be unset`, `source: Invalid value: "": needs to be unset`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newStyleEvent()
			tt.in(e)
			if diff := cmp.Diff(tt.want, texts(Event.ErrorsOf(&eventsV1, e, nil))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventsV1UpdateErrors(t *testing.T) {
	old, e := newStyleEvent(), newStyleEvent()
	e.ResourceVersion = "1"
	e.Series = &corev1.EventSeries{Count: 2, LastObservedTime: metav1.NewMicroTime(time.Unix(1001, 0))}
	e.EventTime = metav1.NewMicroTime(old.EventTime.Add(time.Nanosecond))
	if got := texts(Event.ErrorsOf(&eventsV1, e, old)); got != nil {
		t.Errorf("errors of a new series: %q", got)
	}
	e.Message, e.Type, e.Series.Count = "other", "Warning", 1
	e.UID, e.Finalizers = "u", []string{"x"}
	want := []string{
		`metadata.uid: Invalid value: "u": field is immutable`,
		`metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified`,
		`series.count: Invalid value: "": should be at least 2`,
		`message: Invalid value: "other": field is immutable`,
		`type: Invalid value: "Warning": field is immutable`,
	}
	if diff := cmp.Diff(want, texts(Event.ErrorsOf(&eventsV1, e, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := texts(Event.ErrorsOf(Event.Stored(), e, old)); got != nil {
		t.Errorf("errors of the same update in v1: %q", got)
	}
}

func TestEventsV1Conversion(t *testing.T) {
	in := newStyleEvent()
	in.Series = &corev1.EventSeries{Count: 2}
	in.Source, in.Count, in.Related = corev1.EventSource{Component: "c", Host: "n"}, 3, &corev1.ObjectReference{Name: "r"}
	in.FirstTimestamp, in.LastTimestamp = metav1.Unix(1, 0), metav1.Unix(2, 0)
	Event.SetTypeMeta(in)
	there, err := schema.FromStored(context.Background(), Event, &eventsV1, []schema.Object{in})
	if err != nil {
		t.Fatal(err)
	}
	e := there[0].(*eventsv1.Event)
	if e.APIVersion != "events.k8s.io/v1" || e.Note != "text" || e.Regarding.Name != "web" || e.DeprecatedCount != 3 || e.DeprecatedSource.Host != "n" {
		t.Errorf("in events.k8s.io/v1: %+v", e)
	}
	back, err := schema.ToStored(context.Background(), Event, &eventsV1, there)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(schema.Object(in), back[0]); diff != "" {
		t.Errorf("there and back (-want +got):\n%s", diff)
	}
	if got, want := eventsV1.Row(e, metav1.Unix(100, 0)), Event.Row(in, metav1.Unix(100, 0)); !cmp.Equal(got, want) {
		t.Errorf("row %v, want %v", got, want)
	}
}
