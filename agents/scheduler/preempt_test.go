package scheduler

import (
	"context"
	"gantry/agents/scheduler/profiles"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
)

func TestPreemption(t *testing.T) {
	pods := []*corev1.Pod{
		aPod("a", requests("cpu", "2"), priority(1), on("n1")), aPod("b", requests("cpu", "2"), priority(5), on("n1")),
		aPod("c", requests("cpu", "4"), priority(2), on("n2")),
	}
	s := newTestState(plainNodes(2), pods...)
	s.setPod(aPod("p", requests("cpu", "2"), priority(10)), start)
	d := mustScheduleOne(t, s, start)
	if d.evict.node != "n1" || len(d.evict.victims) != 1 || d.evict.victims[0].Name != "a" {
		t.Fatalf("eviction %+v, want a of n1", d.evict)
	}
	s.setPod(aPod("q", requests("cpu", "2"), priority(3)), start)
	if d = mustScheduleOne(t, s, start); d.evict.node != "n2" {
		t.Errorf("the second pod evicts %+v, want c of n2", d.evict)
	}
	s.deletePod("default", "a", start.Add(time.Minute))
	s.setPod(aPod("other", requests("cpu", "2"), priority(4)), start.Add(time.Minute))
	for {
		d, ok := s.scheduleOne(start.Add(time.Minute))
		if !ok {
			break
		}
		if d.node != nil && (d.object.Name != "p" || d.name != "n1") {
			t.Errorf("%s is placed on %s", d.object.Name, d.name)
		}
	}
	if n := s.pods["default/p"].Node; n == nil || n.Name != "n1" {
		t.Errorf("p is not on n1")
	}
}

// scheduleAfterBackoff schedules the next pod that is due and returns when it was.
func scheduleAfterBackoff(t *testing.T, s *schedulingState, now time.Time) (decision, time.Time) {
	t.Helper()
	due := s.queue.flush(now)
	if due.Sub(now) > profiles.DefaultMaxBackoff {
		t.Fatalf("nothing is due before %v", due.Sub(now))
	}
	s.queue.flush(due)
	return mustScheduleOne(t, s, due), due
}

func TestAFailedEvictionIsTriedAgain(t *testing.T) {
	s := newTestState(plainNodes(1), aPod("low", requests("cpu", "4"), on("n1"), priority(1)), aPod("high", requests("cpu", "4"), priority(10)))
	d, now := mustScheduleOne(t, s, start), start
	var waits []time.Duration
	for range 6 {
		if len(d.evict.victims) != 1 || d.evict.victims[0].Name != "low" {
			t.Fatalf("after %v: eviction %+v, want low; %s", waits, d.evict, d.why)
		}
		s.evictionFailed(d.evict, d.evict.victims, now)
		was := now
		d, now = scheduleAfterBackoff(t, s, now)
		waits = append(waits, now.Sub(was))
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	s.deletePod("default", "low", now)
	if d, _ := scheduleAfterBackoff(t, s, now); d.name != "n1" {
		t.Errorf("after the eviction high goes to %q", d.name)
	}
}

// TestEvictingIsKept: other changes of a victim do not unmark it, and a failed eviction does not undo a deletion that the watch
// reported.
func TestEvictingIsKept(t *testing.T) {
	now := metav1.NewTime(start)
	deleted := func(p *corev1.Pod) { p.DeletionTimestamp = &now }
	low := func(change ...func(*corev1.Pod)) *corev1.Pod {
		return aPod("low", append(change, requests("cpu", "4"), on("n1"), priority(1))...)
	}
	evicting := func() (*schedulingState, decision) {
		s := newTestState(plainNodes(1), low(), aPod("high", requests("cpu", "4"), priority(10)))
		return s, mustScheduleOne(t, s, start)
	}
	t.Run("its condition", func(t *testing.T) {
		s, _ := evicting()
		s.setPod(low(func(p *corev1.Pod) { p.ResourceVersion = "7" }), start)
		s.setPod(aPod("other", requests("cpu", "4"), priority(10)), start)
		if d := mustScheduleOne(t, s, start); len(d.evict.victims) != 0 {
			t.Errorf("another pod evicts %+v too", d.evict)
		}
	})
	t.Run("its deletion", func(t *testing.T) {
		s, d := evicting()
		s.setPod(low(deleted), start)
		s.evictionFailed(d.evict, d.evict.victims, start) // the write happened, its response was lost
		if p := s.pods["default/low"]; !p.Terminating {
			t.Error("a pod that is being deleted is not terminating")
		}
	})
	t.Run("another of its name", func(t *testing.T) {
		s, d := evicting()
		s.setPod(low(func(p *corev1.Pod) { p.UID = "new" }), start)
		s.evictionFailed(d.evict, d.evict.victims, start)
		if d, _ := scheduleAfterBackoff(t, s, start); len(d.evict.victims) != 1 || d.evict.victims[0].UID != "new" {
			t.Errorf("high evicts %+v, want the new pod", d.evict)
		}
	})
}

// TestOneOfTwoEvictionsFails: one victim terminates, the other could not be deleted. When the first is gone the pod preempts the other.
func TestOneOfTwoEvictionsFails(t *testing.T) {
	half := func(name string) *corev1.Pod { return aPod(name, requests("cpu", "2"), on("n1"), priority(1)) }
	s := newTestState(plainNodes(1), half("a"), half("b"), aPod("high", requests("cpu", "4"), priority(10)))
	d := mustScheduleOne(t, s, start)
	if len(d.evict.victims) != 2 {
		t.Fatalf("eviction %+v, want both", d.evict)
	}
	s.evictionFailed(d.evict, d.evict.victims[1:], start)
	d, now := scheduleAfterBackoff(t, s, start)
	if d.node != nil || len(d.evict.victims) != 0 {
		t.Fatalf("while the first leaves: %+v", d)
	}
	s.deletePod("default", "a", now)
	if d, now = scheduleAfterBackoff(t, s, now); len(d.evict.victims) != 1 || d.evict.victims[0].Name != "b" {
		t.Fatalf("eviction %+v, want b", d.evict)
	}
	s.deletePod("default", "b", now)
	if d, _ = scheduleAfterBackoff(t, s, now); d.name != "n1" {
		t.Errorf("high goes to %q", d.name)
	}
}

// TestNominationEnds: a pod that does not fit its nominated node any more loses the nomination.
func TestNominationEnds(t *testing.T) {
	s := newTestState(plainNodes(1), aPod("low", requests("cpu", "4"), on("n1"), priority(1)), aPod("high", requests("cpu", "4"), priority(10)))
	mustScheduleOne(t, s, start)
	s.setNode("n1", aNode("n1", nodeLabel("a", "b"), taint("x", "", corev1.TaintEffectNoSchedule)), start)
	s.deletePod("default", "low", start)
	d, now := scheduleAfterBackoff(t, s, start)
	if d.node != nil || d.evict.node != "" || d.pod.Nominated != nil {
		t.Fatalf("high: %+v, nominated to %v", d, d.pod.Nominated)
	}
	s.setPod(aPod("tolerant", requests("cpu", "4"), tolerating("x"), priority(2)), now)
	if d := mustScheduleOne(t, s, now); d.name != "n1" {
		t.Errorf("tolerant goes to %q: %s", d.name, d.why)
	}
}

// refusingStore is a store that refuses to write some keys.
type refusingStore struct {
	*store.Fake
	key     atomic.Pointer[string] // part of the keys; nil: none is refused
	refused atomic.Int32
}

func (s *refusingStore) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	part := s.key.Load()
	is := func(key string) bool { return part != nil && strings.Contains(key, *part) }
	if slices.ContainsFunc(t.Deletes, is) || slices.ContainsFunc(t.Puts, func(p store.Put) bool { return is(p.Key) }) {
		s.refused.Add(1)
		return store.TxnResult{}, &store.Error{Kind: store.Unavailable, Reason: "no"}
	}
	return s.Fake.Commit(ctx, t)
}

// newRefusingCluster is newCluster on a store that can be made to refuse writes.
func newRefusingCluster(t *testing.T) (cluster, *refusingStore) {
	t.Helper()
	etcd := &refusingStore{Fake: store.NewFake()}
	r := registrytest.On(t, etcd)
	registrytest.Namespace(t, r, "default")
	return cluster{r, registry.For[*corev1.Pod](r), registry.For[*corev1.Node](r)}, etcd
}

// awaitRefused waits until the store has refused n writes.
func (s *refusingStore) awaitRefused(t *testing.T, n int32) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for s.refused.Load() < n {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d writes were refused, want %d", s.refused.Load(), n)
		}
	}
}

func (s *refusingStore) refuse(part string) { s.key.Store(&part) }

func TestRunEvictsInTheEnd(t *testing.T) {
	c, etcd := newRefusingCluster(t)
	c.addNode(t, aNode("n1"))
	c.schedule(t, "a")
	c.addPod(t, "low", requests("cpu", "4"))
	c.await(t, "bound", hasNode, "low")
	etcd.refuse("pods/default/low")
	c.addPod(t, "high", requests("cpu", "3"), func(p *corev1.Pod) { p.Spec.PriorityClassName = "system-cluster-critical" })
	etcd.awaitRefused(t, 2) // once more after its back-off
	etcd.key.Store(nil)
	c.await(t, "leaving", func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil }, "low")
	zero := int64(0)
	if err := c.pods.Delete(t.Context(), "default", "low", registry.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	c.await(t, "bound", hasNode, "high")
}

func TestRunExplainsInTheEnd(t *testing.T) {
	c, etcd := newRefusingCluster(t)
	c.addNode(t, aNode("n1"))
	c.addPod(t, "big", requests("cpu", "5"))
	etcd.refuse("pods/default/big")
	c.schedule(t, "a")
	etcd.awaitRefused(t, 1)
	etcd.key.Store(nil)
	c.await(t, "explained", func(p *corev1.Pod) bool { return len(p.Status.Conditions) > 0 }, "big")
}

// TestPreemptionSparesBudgets: a node, and of a node the pods, whose eviction violates no disruption budget are preferred; where there are
// none, budgets are violated.
func TestPreemptionSparesBudgets(t *testing.T) {
	budgetOf := func(app string, allowed int32, disrupted ...string) *policyv1.PodDisruptionBudget {
		b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: app}}
		b.Spec.Selector = matching("app", app)
		b.Status.DisruptionsAllowed = allowed
		for _, name := range disrupted {
			b.Status.DisruptedPods = map[string]metav1.Time{name: {}}
		}
		return b
	}
	victim := func(name, app, node, cpu string, p int32) *corev1.Pod {
		return aPod(name, podLabel("app", app), requests("cpu", cpu), priority(p), on(node))
	}
	half := []*corev1.Pod{victim("a", "web", "n1", "2", 1), victim("b", "db", "n1", "2", 5)}
	for _, tt := range []struct {
		name    string
		nodes   int
		pods    []*corev1.Pod
		budgets []*policyv1.PodDisruptionBudget
		want    string
	}{
		{"no budgets", 1, half, nil, "a"},
		{"one pod has a budget", 1, half, []*policyv1.PodDisruptionBudget{budgetOf("web", 0)}, "b"},
		{"the budget allows it", 1, half, []*policyv1.PodDisruptionBudget{budgetOf("web", 1)}, "a"},
		{"the budget has paid for it", 1, half, []*policyv1.PodDisruptionBudget{budgetOf("web", 0, "a")}, "a"},
		{"both have budgets", 1, half, []*policyv1.PodDisruptionBudget{budgetOf("web", 0), budgetOf("db", 0)}, "a"},
		{"a budget of another namespace", 1, half, []*policyv1.PodDisruptionBudget{func() *policyv1.PodDisruptionBudget {
			b := budgetOf("web", 0)
			b.Namespace = "other"
			return b
		}()}, "a"},
		{"a node without budgets", 2, []*corev1.Pod{victim("a", "web", "n1", "4", 1), victim("b", "db", "n2", "4", 5)}, []*policyv1.PodDisruptionBudget{budgetOf("web", 0)}, "b"},
		{"two of one budget on a node", 2, []*corev1.Pod{victim("a", "web", "n1", "3", 1), victim("c", "web", "n1", "1", 1), victim("b", "db", "n2", "4", 5)},
			[]*policyv1.PodDisruptionBudget{budgetOf("web", 1)}, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestState(plainNodes(tt.nodes), tt.pods...)
			for _, b := range tt.budgets {
				s.setBudget(b.Namespace, b.Name, b)
			}
			need := "2"
			if tt.nodes > 1 {
				need = "4"
			}
			s.setPod(aPod("high", requests("cpu", need), priority(10)), start)
			d := mustScheduleOne(t, s, start)
			if len(d.evict.victims) != 1 || d.evict.victims[0].Name != tt.want {
				t.Errorf("eviction %+v, want %s", d.evict, tt.want)
			}
			for _, b := range tt.budgets {
				s.setBudget(b.Namespace, b.Name, nil)
			}
			if len(s.budgets) > 0 {
				t.Errorf("%d namespaces have budgets after all were deleted", len(s.budgets))
			}
		})
	}
}

// TestPreemptionForOtherPods: filters that look at more than a node are evaluated without the victims, as kube-scheduler does.
func TestPreemptionForOtherPods(t *testing.T) {
	nodes := []*corev1.Node{aNode("n1", nodeLabel("zone", "a")), aNode("n2", nodeLabel("zone", "b"))}
	web := podLabel("app", "web")
	for _, c := range []struct {
		name    string
		pods    []*corev1.Pod
		pod     *corev1.Pod
		victims string
	}{
		{"the pod's anti-affinity", []*corev1.Pod{aPod("a", web, on("n1"), priority(1)), aPod("b", web, on("n2"), priority(2))},
			aPod("p", apart("zone", "app", "web"), priority(10)), "n1: a"},
		{"another pod's anti-affinity", []*corev1.Pod{aPod("a", apart("zone", "app", "web"), on("n1"), priority(1)), aPod("b", apart("zone", "app", "web"), on("n2"), priority(20))},
			aPod("p", web, priority(10)), "n1: a"},
		{"a node's room and anti-affinity", []*corev1.Pod{
			aPod("a", web, requests("cpu", "1"), on("n1"), priority(1)), aPod("big", requests("cpu", "3"), on("n1"), priority(1)), aPod("b", web, on("n2"), priority(20)),
		}, aPod("p", apart("zone", "app", "web"), requests("cpu", "2"), priority(10)), "n1: a big"},
		{"a topology spread constraint", []*corev1.Pod{
			aPod("a", web, on("n1"), priority(1)), aPod("b", web, on("n1"), priority(2)), aPod("full", requests("cpu", "4"), on("n2"), priority(20)),
		}, aPod("p", web, spreadOver("zone", 1, "app", "web"), requests("cpu", "1"), priority(10)), "n1: b a"},
		{"only the victims count", []*corev1.Pod{aPod("a", web, on("n1"), priority(20)), aPod("other", on("n1"), priority(1)), aPod("b", web, on("n2"), priority(20))},
			aPod("p", apart("zone", "app", "web"), priority(10)), ": "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestState(nodes, c.pods...)
			s.setPod(c.pod, start)
			d := mustScheduleOne(t, s, start)
			var names []string
			for _, v := range d.evict.victims {
				names = append(names, v.Name)
			}
			if got := d.evict.node + ": " + strings.Join(names, " "); got != c.victims {
				t.Errorf("evicts %q, want %q (%s)", got, c.victims, d.why)
			}
			checkKept(t, s) // the evaluation leaves no trace in the counts
		})
	}
}
