package network

import (
	"context"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/daemon"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

func eventually(t *testing.T, what, want, line string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		out, _ := exec.Command("sh", "-c", line).CombinedOutput()
		if strings.Contains(string(out), want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %q is missing in:\n%s", what, want, out)
		}
	}
}

func TestRun(t *testing.T) {
	clean(t)
	run(t, "iptables -P FORWARD DROP")
	registrytest.DetectMutations(t)
	log := slog.New(slog.DiscardHandler)
	r := registry.New(registry.Config{Store: store.NewFake(), Kinds: kinds.New(), Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 2)
	health := &daemon.Health{}
	go func() { done <- r.Run(ctx) }()
	go func() {
		done <- Run(ctx, Config{Registry: r, NodeName: "n1", ClusterCIDRs: clusterCIDRs, Health: health, Log: log})
	}()
	if _, err := registry.For[*corev1.Node](r).Create(ctx, node("n1", "", "")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := health.Fault(ctx)
		if err != nil && strings.Contains(err.Error(), "the node has no podCIDR yet") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("health without a podCIDR: %v", err)
		}
	}
	if _, err := registry.For[*corev1.Node](r).Modify(ctx, "", "n1", func(n *corev1.Node) error {
		n.Spec.PodCIDR, n.Spec.PodCIDRs = "10.244.1.0/24", []string{"10.244.1.0/24", "fd00:10:244:1::/64"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stands := func(after string) {
		t.Helper()
		eventually(t, after, "10.244.1.1/24", "ip -o addr show gantry0")
		eventually(t, after, "fd00:10:244:1::1/64", "ip -o -6 addr show gantry0")
		eventually(t, after, "masquerade", "nft list table ip gantry-network")
		eventually(t, after, "masquerade", "nft list table ip6 gantry-network")
		eventually(t, after, "gantry: pods", "iptables -S FORWARD")
	}
	stands("start")
	for _, damage := range []string{
		"ip link del gantry0", "ip addr flush dev gantry0; ip link set gantry0 down", "nft delete table ip gantry-network", "iptables -F FORWARD",
		"nft flush ruleset; iptables -P FORWARD DROP",
	} {
		run(t, damage)
		stands(damage)
	}
	for deadline := time.Now().Add(10 * time.Second); health.Fault(ctx) != nil; {
		if time.Now().After(deadline) {
			t.Fatalf("health: %v", health.Fault(ctx))
		}
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	stands("the end of the agent")
}
