package election_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/election"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/core"
)

// TestALeadersRegistryIsFenced checks that a leader's writes fail as soon as its election key is gone.
func TestALeadersRegistryIsFenced(t *testing.T) {
	s := store.NewFake()
	r := registry.New(registry.Config{Store: s, Kinds: schema.NewKinds(schema.NewSet(core.Namespace)), Agent: "gantry", Log: slog.New(slog.DiscardHandler)})
	namespace := func(name string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	running, stop := context.WithCancel(registrytest.Context(t))
	err := r.Lead(running, "controllers", "a", func(_ context.Context, leader *registry.Registry) error {
		ctx := registrytest.Context(t)
		if _, err := leader.Create(ctx, core.Namespace, namespace("a"), registry.WriteOptions{}); err != nil {
			t.Errorf("a leader's write: %v", err)
		}
		kvs, _, _, err := s.List(ctx, election.Prefix, store.RangeEnd(election.Prefix), 0, 0)
		if err != nil || len(kvs) != 1 {
			t.Fatalf("candidates %v, %v", kvs, err)
		}
		storetest.Delete(t, s, kvs[0].Key)
		if _, err := leader.Create(ctx, core.Namespace, namespace("b"), registry.WriteOptions{}); !errors.Is(err, registry.Conflict) {
			t.Errorf("a deposed leader's write: %v, want Conflict", err)
		}
		stop()
		return nil
	})
	if err != nil {
		t.Errorf("Lead: %v", err)
	}
	if _, err := r.Create(registrytest.Context(t), core.Namespace, namespace("c"), registry.WriteOptions{}); err != nil {
		t.Errorf("a write of a registry that leads nothing: %v", err)
	}
}
