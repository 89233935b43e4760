package scheduler

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	b := situation(plainNodes(2), pods...)
	b.pod(aPod("p", requests("cpu", "2"), priority(10)), start)
	d := mustNext(t, b, start)
	if d.evict.node != "n1" || len(d.evict.victims) != 1 || d.evict.victims[0].Name != "a" {
		t.Fatalf("eviction %+v, want a of n1", d.evict)
	}
	b.pod(aPod("q", requests("cpu", "2"), priority(3)), start)
	if d = mustNext(t, b, start); d.evict.node != "n2" {
		t.Errorf("the second pod evicts %+v, want c of n2", d.evict)
	}
	b.gone("default", "a", start.Add(time.Minute))
	b.pod(aPod("thief", requests("cpu", "2"), priority(4)), start.Add(time.Minute))
	for {
		d, ok := b.next(start.Add(time.Minute))
		if !ok {
			break
		}
		if d.node != nil && (d.object.Name != "p" || d.name != "n1") {
			t.Errorf("%s took the room on %s", d.object.Name, d.name)
		}
	}
	if n := b.world.pods["default/p"].node; n == nil || n.name != "n1" {
		t.Errorf("p is not on n1")
	}
}

// retried goes on to when a pod is due and decides on it.
func retried(t *testing.T, b *brain, now time.Time) (decision, time.Time) {
	t.Helper()
	due := b.queue.promote(now)
	if due.Sub(now) > lastBackoff {
		t.Fatalf("nothing is due before %v", due.Sub(now))
	}
	b.queue.promote(due)
	return mustNext(t, b, due), due
}

func TestAFailedEvictionIsTriedAgain(t *testing.T) {
	b := situation(plainNodes(1), aPod("low", requests("cpu", "4"), on("n1"), priority(1)), aPod("high", requests("cpu", "4"), priority(10)))
	d, now := mustNext(t, b, start), start
	var waits []time.Duration
	for range 6 {
		if len(d.evict.victims) != 1 || d.evict.victims[0].Name != "low" {
			t.Fatalf("after %v: eviction %+v, want low; %s", waits, d.evict, d.why)
		}
		b.notEvicted(d.evict, d.evict.victims, now)
		was := now
		d, now = retried(t, b, now)
		waits = append(waits, now.Sub(was))
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	b.gone("default", "low", now)
	if d, _ := retried(t, b, now); d.name != "n1" {
		t.Errorf("after the eviction high goes to %q", d.name)
	}
}

// TestAVictimsMark: other changes of a victim do not take the mark of its eviction back, and its failure does not take back
// what the watch has told.
func TestAVictimsMark(t *testing.T) {
	now := metav1.NewTime(start)
	deleted := func(p *corev1.Pod) { p.DeletionTimestamp = &now }
	low := func(change ...func(*corev1.Pod)) *corev1.Pod {
		return aPod("low", append(change, requests("cpu", "4"), on("n1"), priority(1))...)
	}
	evicting := func() (*brain, decision) {
		b := situation(plainNodes(1), low(), aPod("high", requests("cpu", "4"), priority(10)))
		return b, mustNext(t, b, start)
	}
	t.Run("its condition", func(t *testing.T) {
		b, _ := evicting()
		b.pod(low(func(p *corev1.Pod) { p.ResourceVersion = "7" }), start)
		b.pod(aPod("other", requests("cpu", "4"), priority(10)), start)
		if d := mustNext(t, b, start); len(d.evict.victims) != 0 {
			t.Errorf("another pod evicts %+v too", d.evict)
		}
	})
	t.Run("its deletion", func(t *testing.T) {
		b, d := evicting()
		b.pod(low(deleted), start)
		b.notEvicted(d.evict, d.evict.victims, start) // the answer got lost
		if p := b.world.pods["default/low"]; !p.leaving {
			t.Error("a pod that is being deleted is taken for one that stays")
		}
	})
	t.Run("another of its name", func(t *testing.T) {
		b, d := evicting()
		b.pod(low(func(p *corev1.Pod) { p.UID = "new" }), start)
		b.notEvicted(d.evict, d.evict.victims, start)
		if d, _ := retried(t, b, start); len(d.evict.victims) != 1 || d.evict.victims[0].UID != "new" {
			t.Errorf("high evicts %+v, want the new pod", d.evict)
		}
	})
}

// TestSomeVictimsOfSeveral: one victim leaves, the other could not be deleted. When the first is gone the pod evicts the other.
func TestSomeVictimsOfSeveral(t *testing.T) {
	half := func(name string) *corev1.Pod { return aPod(name, requests("cpu", "2"), on("n1"), priority(1)) }
	b := situation(plainNodes(1), half("a"), half("b"), aPod("high", requests("cpu", "4"), priority(10)))
	d := mustNext(t, b, start)
	if len(d.evict.victims) != 2 {
		t.Fatalf("eviction %+v, want both", d.evict)
	}
	b.notEvicted(d.evict, d.evict.victims[1:], start)
	d, now := retried(t, b, start)
	if d.node != nil || len(d.evict.victims) != 0 {
		t.Fatalf("while the first leaves: %+v", d)
	}
	b.gone("default", "a", now)
	if d, now = retried(t, b, now); len(d.evict.victims) != 1 || d.evict.victims[0].Name != "b" {
		t.Fatalf("eviction %+v, want b", d.evict)
	}
	b.gone("default", "b", now)
	if d, _ = retried(t, b, now); d.name != "n1" {
		t.Errorf("high goes to %q", d.name)
	}
}

// TestNominationEnds: the room that was made for a pod is others' again when the pod can't have it any more.
func TestNominationEnds(t *testing.T) {
	b := situation(plainNodes(1), aPod("low", requests("cpu", "4"), on("n1"), priority(1)), aPod("high", requests("cpu", "4"), priority(10)))
	mustNext(t, b, start)
	b.node("n1", aNode("n1", nodeLabel("a", "b"), taint("x", "", corev1.TaintEffectNoSchedule)), start)
	b.gone("default", "low", start)
	d, now := retried(t, b, start)
	if d.node != nil || d.evict.node != "" || d.pod.nominated != nil {
		t.Fatalf("high: %+v, nominated to %v", d, d.pod.nominated)
	}
	b.pod(aPod("tolerant", requests("cpu", "4"), tolerating("x"), priority(2)), now)
	if d := mustNext(t, b, now); d.name != "n1" {
		t.Errorf("tolerant goes to %q: %s", d.name, d.why)
	}
}

// failing is a store that refuses to write some keys.
type failing struct {
	*store.Fake
	key     atomic.Pointer[string] // part of the keys; nil: none is refused
	refused atomic.Int32
}

func (f *failing) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	part := f.key.Load()
	is := func(key string) bool { return part != nil && strings.Contains(key, *part) }
	if slices.ContainsFunc(t.Deletes, is) || slices.ContainsFunc(t.Puts, func(p store.Put) bool { return is(p.Key) }) {
		f.refused.Add(1)
		return store.TxnResult{}, &store.Error{Kind: store.Unavailable, Reason: "no"}
	}
	return f.Fake.Commit(ctx, t)
}

// newFailingCluster is newCluster on a store that can be made to refuse writes.
func newFailingCluster(t *testing.T) (cluster, *failing) {
	t.Helper()
	etcd := &failing{Fake: store.NewFake()}
	r := registrytest.On(t, etcd)
	registrytest.Namespace(t, r, "default")
	return cluster{r, registry.For[*corev1.Pod](r), registry.For[*corev1.Node](r)}, etcd
}

// awaitRefused waits until the store has refused n writes.
func (f *failing) awaitRefused(t *testing.T, n int32) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for f.refused.Load() < n {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d writes were refused, want %d", f.refused.Load(), n)
		}
	}
}

func (f *failing) refuse(part string) { f.key.Store(&part) }

func TestRunEvictsInTheEnd(t *testing.T) {
	c, etcd := newFailingCluster(t)
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
	c, etcd := newFailingCluster(t)
	c.addNode(t, aNode("n1"))
	c.addPod(t, "big", requests("cpu", "5"))
	etcd.refuse("pods/default/big")
	c.schedule(t, "a")
	etcd.awaitRefused(t, 1)
	etcd.key.Store(nil)
	c.await(t, "explained", func(p *corev1.Pod) bool { return len(p.Status.Conditions) > 0 }, "big")
}
