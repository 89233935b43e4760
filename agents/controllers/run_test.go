package controllers_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// Two processes: one leads; when it ends, the other goes on with the work.
func TestRunFailsOver(t *testing.T) {
	registrytest.DetectMutations(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	etcd := store.NewFake()
	log := slog.New(slog.DiscardHandler)
	ended := make(chan error, 4)
	process := func(name string) (*registry.Registry, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		r := registry.New(registry.Config{Store: etcd, Kinds: kinds.New(), Log: log})
		go func() { ended <- r.Run(ctx) }()
		go func() {
			cfg := controllertest.Config(t, r)
			cfg.Identity, cfg.Log = name, log
			ended <- controllers.Run(ctx, cfg)
		}()
		return r, cancel
	}
	r1, stop1 := process("one")
	c := &controllertest.Cluster{T: t, Context: ctx, Registry: r1}
	c.Ready()
	r2, stop2 := process("two")
	defer stop2()
	stop1()
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("a process that was told to end says: %v", err)
			}
		case <-time.After(controllertest.Deadline):
			t.Fatal("the first process does not end")
		}
	}
	c = &controllertest.Cluster{T: t, Context: ctx, Registry: r2}
	c.Apply(controllertest.ReplicaSet)
	c.Until(func() string {
		if n := len(controllertest.List[*corev1.Pod](c, "default", "app=web")); n != 2 {
			return "two pods made by the second process"
		}
		return ""
	}, core.Pod)
	cancel()
	for range 2 {
		<-ended
	}
}
