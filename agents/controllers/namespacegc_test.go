package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/daemon"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

func TestNamespacesDeletedPastTheAPIAreEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, etcd := registrytest.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		cfg := Config{Registry: r, Identity: "test", Controllers: []string{"namespacegc"}, Health: &daemon.Health{}, Log: slog.New(slog.DiscardHandler)}.withDefaults()
		ended := make(chan error, 1)
		go func() { ended <- lead(ctx, cfg, r, cfg.Log) }()
		for i := range 40 {
			registrytest.Namespace(t, r, fmt.Sprintf("ns%d", i))
		}
		vanish := func(names ...string) {
			var txn store.Txn
			for _, name := range names {
				txn.Deletes = append(txn.Deletes, "/registry/namespaces/"+name)
			}
			if _, err := etcd.Commit(ctx, txn); err != nil {
				t.Fatal(err)
			}
		}
		empty := func(name string) bool {
			t.Helper()
			for _, k := range kinds.All.All {
				if !k.Namespaced {
					continue
				}
				l, err := r.List(ctx, k, name, registry.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if len(l.Items) > 0 {
					return false
				}
			}
			return true
		}
		vanish("ns1", "ns2")
		time.Sleep(missingFor - time.Second) // of the bubble's time
		if _, err := r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns2"}}, registry.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		if empty("ns1") {
			t.Error("it was emptied at once")
		}
		time.Sleep(2*namespaceGCEvery + time.Second)
		synctest.Wait()
		if !empty("ns1") || empty("ns2") || empty("ns3") {
			t.Errorf("emptied: the missing one %v, the one that came back %v, one that is there %v", empty("ns1"), empty("ns2"), empty("ns3"))
		}
		vanish("ns3", "ns4", "ns5", "ns6", "ns7", "ns8")
		time.Sleep(3 * missingFor)
		synctest.Wait()
		if empty("ns3") {
			t.Error("many vanished at once, and their objects too")
		}
		events, err := r.List(ctx, core.Event, "kube-system", registry.ListOptions{})
		if err != nil || len(events.Items) == 0 {
			t.Errorf("no event says so: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestNamespaceGCPlans(t *testing.T) {
	c := &namespaceGC{missing: map[string]time.Time{}}
	set := func(names ...string) map[string]bool {
		m := map[string]bool{}
		for _, n := range names {
			m[n] = true
		}
		return m
	}
	for i, step := range []struct {
		missing map[string]bool
		there   int
		after   time.Duration
		due     []string
		held    int
	}{
		{set("a"), 10, 0, nil, 0},
		{set("a", "b"), 10, missingFor - 1, nil, 0},
		{set("a", "b"), 10, missingFor, []string{"a"}, 0},
		{set("b"), 10, missingFor, nil, 0}, // a came back
		{set("a", "b", "c"), 0, 2 * missingFor, []string{"b"}, 0},
		{set("a", "b", "c", "d"), 35, 3 * missingFor, nil, 4},
		{set("a", "b", "c", "d"), 40, 4 * missingFor, []string{"a", "b", "c", "d"}, 0},
	} {
		due, held := c.due(step.missing, step.there, now.Add(step.after))
		if !slices.Equal(due, step.due) || held != step.held {
			t.Errorf("step %d: due %v, held %d; want %v, %d", i, due, held, step.due, step.held)
		}
	}
}
