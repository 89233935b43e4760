package events

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
)

// record runs a recorder until the events that emit records are written, and returns the events of namespace n.
func record(t *testing.T, emit func(r *Recorder)) []*corev1.Event {
	t.Helper()
	r, _ := registrytest.New(t)
	registrytest.Namespace(t, r, "n")
	rec := New(r, "tester", "host", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	emit(rec)
	cancel() // Run writes what is queued before it ends
	go func() { done <- rec.Run(ctx) }()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	list, err := r.List(t.Context(), r.Kinds().Set().Kind("v1", "Event"), "n", registry.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []*corev1.Event
	for _, it := range list.Items {
		out = append(out, it.Object().(*corev1.Event))
	}
	return out
}

func TestEventsOfOneInstantAreAllWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where time stands still
		ref := corev1.ObjectReference{Kind: "Pod", Namespace: "n", Name: "p", UID: "u"}
		got := record(t, func(r *Recorder) {
			for i := range 5 {
				r.WithComponent(fmt.Sprint(i)).Ref(ref, corev1.EventTypeNormal, fmt.Sprint("Reason", i), "text")
			}
		})
		if len(got) != 5 {
			t.Errorf("%d events, want 5", len(got))
		}
	})
}

func TestARepetitionRaisesTheCount(t *testing.T) {
	ref := corev1.ObjectReference{Kind: "Pod", Namespace: "n", Name: "p", UID: "u"}
	got := record(t, func(r *Recorder) {
		for range 3 {
			r.Ref(ref, corev1.EventTypeWarning, "BackOff", "again")
		}
		r.Ref(ref, corev1.EventTypeNormal, "Started", "Started container %s", "web")
	})
	if len(got) != 2 {
		t.Fatalf("%d events, want 2", len(got))
	}
	counts := map[string]int32{}
	for _, e := range got {
		counts[e.Reason+": "+e.Message] = e.Count
		if e.Source.Component != "tester" || e.Source.Host != "host" || e.InvolvedObject.UID != "u" || e.LastTimestamp.IsZero() {
			t.Errorf("event %+v", e)
		}
	}
	if counts["BackOff: again"] != 3 || counts["Started: Started container web"] != 1 {
		t.Errorf("counts %v", counts)
	}
}

func TestEventsOfOneObjectAreLimited(t *testing.T) {
	got := record(t, func(r *Recorder) {
		for i := range 100 {
			r.Ref(corev1.ObjectReference{Kind: "Pod", Namespace: "n", Name: "busy", UID: "u"}, corev1.EventTypeNormal, "R", "%d", i)
		}
		for i := range 30 { // a value that cannot be read has no uid
			r.Ref(corev1.ObjectReference{Kind: "Pod", Namespace: "n", Name: fmt.Sprint("bad", i)}, corev1.EventTypeWarning, "Quarantined", "x")
		}
	})
	of := map[string]int{}
	for _, e := range got {
		of[e.Reason]++
	}
	if of["R"] != objectBurst || of["Quarantined"] != 30 {
		t.Errorf("events by reason %v, want %d of the busy one and 30 of the others", of, objectBurst)
	}
}
