package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/daemon"
	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
	"gantry/registry"
	"gantry/registry/registrytest"
)

// cluster is a registry and a scheduler that runs on it until the test ends.
type cluster struct {
	r     *registry.Registry
	pods  registry.Typed[*corev1.Pod]
	nodes registry.Typed[*corev1.Node]
}

func newCluster(t testing.TB) cluster {
	t.Helper()
	r, _ := registrytest.New(t)
	return cluster{r, registry.For[*corev1.Pod](r), registry.For[*corev1.Node](r)}
}

// schedule starts a scheduler.
func (c cluster) schedule(t testing.TB, identity string) (stop func()) {
	t.Helper()
	return c.scheduleWith(t, identity, plugins.All)
}

// scheduleWith starts a scheduler with other plug-ins.
func (c cluster) scheduleWith(t testing.TB, identity string, rows []framework.Plugin) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		cfg := Config{Registry: c.r, Identity: identity, Health: &daemon.Health{}, Log: slog.New(slog.DiscardHandler)}
		done <- runWith(ctx, cfg, rows)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running the scheduler: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (c cluster) addNode(t testing.TB, n *corev1.Node) {
	t.Helper()
	status := n.Status
	if _, err := c.nodes.Create(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	untainted := func(n *corev1.Node) error { n.Spec.Taints = nil; return nil } // as its kubelet's readiness makes it
	if _, err := c.nodes.Modify(context.Background(), "", n.Name, untainted); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nodes.ModifyStatus(context.Background(), "", n.Name, func(n *corev1.Node) error { n.Status = status; return nil }); err != nil {
		t.Fatal(err)
	}
}

func (c cluster) addPod(t testing.TB, name string, change ...func(*corev1.Pod)) {
	t.Helper()
	p := aPod(name, change...)
	p.ObjectMeta = metav1.ObjectMeta{Namespace: p.Namespace, Name: name, Labels: p.Labels, OwnerReferences: p.OwnerReferences}
	if _, err := c.pods.Create(context.Background(), p); err != nil {
		t.Fatal(err)
	}
}

// await returns when every pod is as wanted.
func (c cluster) await(t testing.TB, what string, want func(p *corev1.Pod) bool, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	missing := map[string]bool{}
	for _, name := range names {
		missing[name] = true
	}
	last := map[string]*corev1.Pod{}
	err := c.pods.Follow(ctx, func(_, p *corev1.Pod) {
		if p == nil {
			return
		}
		last[p.Name] = p
		if missing[p.Name] && want(p) {
			delete(missing, p.Name)
		}
		if len(missing) == 0 {
			cancel()
		}
	})
	if len(missing) > 0 {
		for name := range missing {
			if p := last[name]; p != nil {
				t.Logf("%s: node %q, conditions %+v", name, p.Spec.NodeName, p.Status.Conditions)
			}
		}
		t.Fatalf("waiting until pods are %s: %d are not (%v)", what, len(missing), err)
	}
}

func hasNode(p *corev1.Pod) bool { return p.Spec.NodeName != "" }

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("p%d", i)
	}
	return names
}

func TestRunPlacesPods(t *testing.T) {
	c := newCluster(t)
	for _, n := range plainNodes(3) {
		n.Status.Allocatable["cpu"] = amounts("cpu", "20")["cpu"]
		c.addNode(t, n)
	}
	c.addPod(t, "p0", requests("cpu", "100m"), ownedBy("rs"))
	c.schedule(t, "a")
	names := numbered(100)
	for _, name := range names[1:] {
		c.addPod(t, name, requests("cpu", "100m"), ownedBy("rs"))
	}
	c.await(t, "bound", hasNode, names...)
	counts := map[string]int{}
	all, err := c.pods.CachedList(context.Background(), "default", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		counts[p.Spec.NodeName]++
		if len(p.Status.Conditions) == 0 || p.Status.Conditions[0].Type != corev1.PodScheduled || p.Status.Conditions[0].Status != corev1.ConditionTrue {
			t.Errorf("conditions of %s: %+v", p.Name, p.Status.Conditions)
		}
	}
	for name, n := range counts {
		if n < 33 || n > 34 {
			t.Errorf("%s has %d of 100 pods", name, n)
		}
	}
	c.awaitEvent(t, "Scheduled", "Successfully assigned default/p7 to ")
}

// awaitEvent waits for an event whose message begins with text.
func (c cluster) awaitEvent(t testing.TB, reason, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	found := false
	_ = registry.For[*corev1.Event](c.r).Follow(ctx, func(_, e *corev1.Event) {
		if e != nil && e.Reason == reason && strings.HasPrefix(e.Message, text) {
			found = true
			cancel()
		}
	})
	if !found {
		t.Errorf("no event %s %q", reason, text)
	}
}

func TestRunExplainsAndWakes(t *testing.T) {
	c := newCluster(t)
	c.addNode(t, aNode("n1"))
	c.schedule(t, "a")
	c.addPod(t, "big", requests("cpu", "5"))
	const want = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
	var condition corev1.PodCondition
	c.await(t, "explained", func(p *corev1.Pod) bool {
		for _, condition = range p.Status.Conditions {
			if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
				return true
			}
		}
		return false
	}, "big")
	if diff := cmp.Diff([]string{corev1.PodReasonUnschedulable, want}, []string{condition.Reason, condition.Message}); diff != "" {
		t.Errorf("condition (-want +got):\n%s", diff)
	}
	c.awaitEvent(t, "FailedScheduling", want)
	c.addNode(t, aNode("n2", allocatable("cpu", "8")))
	c.await(t, "bound", hasNode, "big")
}

func TestAnotherSchedulerTakesOver(t *testing.T) {
	c := newCluster(t)
	c.addNode(t, aNode("n1", allocatable("cpu", "2")))
	stop := c.schedule(t, "a")
	c.addPod(t, "one", requests("cpu", "1"))
	c.await(t, "bound", hasNode, "one")
	stop()
	c.schedule(t, "b")
	c.addPod(t, "two", requests("cpu", "1"))
	c.addPod(t, "three", requests("cpu", "1"))
	c.await(t, "placed or explained", func(p *corev1.Pod) bool { return len(p.Status.Conditions) > 0 }, "two", "three")
	all, err := c.pods.CachedList(context.Background(), "default", "")
	if err != nil {
		t.Fatal(err)
	}
	placed := 0
	for _, p := range all {
		if hasNode(p) {
			placed++
		}
	}
	if placed != 2 {
		t.Errorf("%d pods are on a node with room for 2", placed)
	}
}

func TestRunPreempts(t *testing.T) {
	c := newCluster(t)
	c.addNode(t, aNode("n1"))
	c.schedule(t, "a")
	c.addPod(t, "low", requests("cpu", "4"))
	c.await(t, "bound", hasNode, "low")
	c.addPod(t, "high", requests("cpu", "3"), func(p *corev1.Pod) { p.Spec.PriorityClassName = "system-cluster-critical" })
	c.await(t, "nominated", func(p *corev1.Pod) bool { return p.Status.NominatedNodeName == "n1" }, "high")
	c.await(t, "leaving", func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }, "low")
	zero := int64(0) // as its kubelet does once it has stopped
	if err := c.pods.Delete(context.Background(), "default", "low", registry.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	c.await(t, "bound", hasNode, "high")
}
