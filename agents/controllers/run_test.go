package controllers

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/daemon"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

func TestConfigNamesEveryFault(t *testing.T) {
	bad := Config{ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"), NodeCIDRMask: 8, NodeMonitorGracePeriod: -1, Controllers: []string{"*", "-garbage", "nonsense"}}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no fault was found")
	}
	for _, want := range []string{"--etcd-servers", "--identity", "--node-cidr-mask-size 8", "--node-monitor-grace-period", `--controllers: "nonsense"`, "health"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "garbage") {
		t.Errorf("-garbage is a controller: %v", err)
	}
}

func TestControllersArePicked(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want bool // does garbage run?
	}{
		{"all", []string{"*"}, true},
		{"all but", []string{"*", "-garbage"}, false},
		{"only", []string{"garbage"}, true},
		{"others", []string{"replicaset"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Config{Controllers: tt.in}).runs("garbage"); got != tt.want {
				t.Errorf("garbage runs: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTableIsWhole(t *testing.T) {
	var names []string
	for _, c := range table(Config{}) {
		names = append(names, c.name)
		if c.doc == "" || c.workers < 1 || c.setup == nil || len(c.reads) == 0 {
			t.Errorf("the row of %s has a gap", c.name)
		}
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(names))); len(unique) != len(names) {
		t.Errorf("a name is taken twice: %v", names)
	}
}

// Two processes: one leads; when it ends, the other goes on with the work.
func TestRunFailsOver(t *testing.T) {
	registrytest.DetectMutations(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := registry.NewFake()
	log := slog.New(slog.DiscardHandler)
	ended := make(chan error, 4)
	process := func(name string) (*registry.Registry, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		r := registry.New(registry.Config{Store: store, Kinds: kinds.All, Log: log})
		go func() { ended <- r.Run(ctx) }()
		go func() {
			ended <- Run(ctx, Config{Registry: r, Identity: name, Health: &daemon.Health{}, Log: log, ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16")})
		}()
		return r, cancel
	}
	r1, stop1 := process("one")
	c := &cluster{t: t, ctx: ctx, r: r1}
	c.ready()
	r2, stop2 := process("two")
	defer stop2()
	stop1()
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("a process that was told to end says: %v", err)
			}
		case <-time.After(deadline):
			t.Fatal("the first process does not end")
		}
	}
	c = &cluster{t: t, ctx: ctx, r: r2}
	c.apply(set)
	c.until(func() string {
		if n := len(list[*corev1.Pod](c, "default", "app=web")); n != 2 {
			return "two pods made by the second process"
		}
		return ""
	}, core.Pod)
	cancel()
	for range 2 {
		<-ended
	}
}
