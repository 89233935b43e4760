package apitest_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// TestFollowOne checks that every state of one object is reported, also after a lost watch, and those of others are not.
func TestFollowOne(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	etcd := store.NewFake()
	r := registry.New(registry.Config{Store: etcd, Kinds: kinds.New(), Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 2)
	go func() { ended <- r.Run(ctx) }()
	states := make(chan string, 100)
	go func() {
		ended <- r.FollowOne(ctx, core.ConfigMap, "default", "one", func(it *registry.Item) {
			if it == nil {
				states <- "absent"
				return
			}
			states <- it.Object().(*corev1.ConfigMap).Data["state"]
		})
	}()
	until := func(want string) {
		t.Helper()
		for {
			select {
			case got := <-states:
				if got == want {
					return
				}
			case <-t.Context().Done():
				t.Fatalf("%q was not reported", want)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	maps := registry.For[*corev1.ConfigMap](r)
	put := func(name, state string) {
		t.Helper()
		meta := metav1.ObjectMeta{Namespace: "default", Name: name}
		_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"state": state}})
		must(err)
	}
	_, err := registry.For[*corev1.Namespace](r).Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	must(err)
	until("absent")
	put("one", "first")
	put("one.other", "other")
	until("first")
	change := func(state string) {
		t.Helper()
		_, err := maps.Modify(ctx, "default", "one", func(m *corev1.ConfigMap) error {
			m.Data["state"] = state
			return nil
		})
		must(err)
	}
	change("second")
	until("second")
	etcd.Cut()
	change("third")
	until("third")
	must(maps.Delete(ctx, "default", "one", registry.DeleteOptions{}))
	until("absent")
	cancel()
	for range 2 {
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
