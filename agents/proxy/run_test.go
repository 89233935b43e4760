package proxy

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/daemon"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/kinds"
)

// cluster is a store with a registry and a proxy, which can be stopped and started.
type cluster struct {
	t     *testing.T
	store *store.Fake
	r     *registry.Registry
	stop  func()
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, store: store.NewFake()}
	t.Cleanup(func() {
		if err := Clean(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// start runs a registry and a proxy until stop or the end of the test.
func (c *cluster) start() {
	c.t.Helper()
	registrytest.DetectMutations(c.t)
	log := slog.New(slog.DiscardHandler)
	c.r = registry.New(registry.Config{Store: c.store, Kinds: kinds.New(), ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")}, Log: log})
	own := registry.New(registry.Config{Store: c.store, Kinds: kinds.New(), Node: "n1", Log: log})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 3)
	go func() { done <- c.r.Run(ctx) }()
	go func() { done <- own.Run(ctx) }()
	go func() {
		done <- Run(ctx, Config{
			Registry: c.r, Pods: own, NodeName: "n1", ClusterCIDRs: []netip.Prefix{clusterCIDR}, HealthzAddress: "127.0.0.1:10256", // in the test's own namespace
			Health: &daemon.Health{}, Log: log,
		})
	}()
	stopped := false
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		for range 3 {
			if err := <-done; err != nil {
				c.t.Error(err)
			}
		}
	}
	c.t.Cleanup(c.stop)
}

// eventually waits until the table's listing has all of parts.
func (c *cluster) eventually(parts ...string) string {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		out, _ := exec.Command("nft", "list", "table", "ip", TableName).CombinedOutput()
		missing := ""
		for _, p := range parts {
			if !strings.Contains(string(out), p) {
				missing = p
			}
		}
		if missing == "" {
			return string(out)
		}
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("%q is missing in:\n%s", missing, out)
		}
	}
}

func create[T schema.Object](c *cluster, obj T) {
	c.t.Helper()
	if _, err := registry.For[T](c.r).Create(c.t.Context(), obj); err != nil {
		c.t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	c := newCluster(t)
	c.start()
	create(c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	create(c, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	create(c, service("web", "10.96.0.12", port("", 80, 0)))
	c.eventually("10.96.0.12 . tcp . 80 : goto refuse")
	create(c, slice("web", "", 8080, "10.244.1.2@n1"))
	c.eventually("10.96.0.12 . tcp . 80 : goto pick-1", "10.244.1.2 . 8080")

	run(t, "nft", "flush ruleset")
	c.eventually("10.96.0.12 . tcp . 80 : goto pick-1", "10.244.1.2 . 8080")

	setAddress(c)
	create(c, service("out", "10.96.0.13", port("", 80, 30081)))
	c.eventually("192.0.2.10 . tcp . 30081 : goto refuse")

	if code, eligible := health(t); code != http.StatusOK || !eligible {
		t.Errorf("healthz: %d, eligible %v", code, eligible)
	}

	handles := run(t, "nft", "-a", "list", "chain", "ip", TableName, "prerouting")
	c.stop()
	c.eventually("10.96.0.12 . tcp . 80 : goto pick-1") // the table stays

	c.start()
	if _, err := registry.For[*discoveryv1.EndpointSlice](c.r).Modify(t.Context(), "default", "web-1", func(s *discoveryv1.EndpointSlice) error {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.244.1.3"}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.eventually("10.96.0.12 . tcp . 80 : goto pick-2", "10.244.1.3 . 8080")
	if now := run(t, "nft", "-a", "list", "chain", "ip", TableName, "prerouting"); now != handles {
		t.Errorf("a restart replaced the chains:\n%s\nwas:\n%s", now, handles)
	}

	if _, err := registry.For[*corev1.Node](c.r).Modify(t.Context(), "", "n1", func(n *corev1.Node) error {
		n.Spec.Taints = []corev1.Taint{{Key: "ToBeDeletedByClusterAutoscaler", Effect: corev1.TaintEffectNoSchedule}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	create(c, service("last", "10.96.0.14", port("", 80, 0))) // the node's change was delivered before
	c.eventually("10.96.0.14 . tcp . 80 : goto refuse")
	for deadline := time.Now().Add(10 * time.Second); ; {
		code, eligible := health(t)
		if code == http.StatusServiceUnavailable && !eligible {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("healthz of a node that is being deleted: %d, eligible %v", code, eligible)
		}
	}
}

func health(t *testing.T) (code int, eligible bool) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://127.0.0.1:10256/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		LastUpdated, CurrentTime string
		NodeEligible             bool
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.LastUpdated == "" || body.CurrentTime == "" {
		t.Errorf("healthz: %+v, %v", body, err)
	}
	return resp.StatusCode, body.NodeEligible
}
