package registry

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/election"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// TestALeadersRegistryIsFenced: its writes fail from the moment on at which its election key is gone.
func TestALeadersRegistryIsFenced(t *testing.T) {
	s := store.NewFake()
	r := New(Config{Store: s, Kinds: schema.NewKinds(schema.NewSet(core.Namespace)), Agent: "gantry", Log: slog.New(slog.DiscardHandler)})
	namespace := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	running, stop := context.WithCancel(testContext(t))
	err := r.Lead(running, "controllers", "a", func(_ context.Context, leader *Registry) error {
		ctx := testContext(t)
		if _, err := leader.Create(ctx, core.Namespace, namespace("a"), WriteOptions{}); err != nil {
			t.Errorf("a leader's write: %v", err)
		}
		kvs, _, _, err := s.List(ctx, election.Prefix, store.RangeEnd(election.Prefix), 0, 0)
		if err != nil || len(kvs) != 1 {
			t.Fatalf("candidates %v, %v", kvs, err)
		}
		del(t, s, kvs[0].Key)
		if _, err := leader.Create(ctx, core.Namespace, namespace("b"), WriteOptions{}); !errors.Is(err, Conflict) {
			t.Errorf("a deposed leader's write: %v, want Conflict", err)
		}
		stop()
		return nil
	})
	if err != nil {
		t.Errorf("Lead: %v", err)
	}
	if _, err := r.Create(testContext(t), core.Namespace, namespace("c"), WriteOptions{}); err != nil {
		t.Errorf("a write of a registry that leads nothing: %v", err)
	}
}
