package vanished_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/vanished"
	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
)

// fixture is a registry with pods that are kept, and what their follower was told.
type fixture struct {
	*testing.T
	r    *registry.Registry
	etcd *store.Fake
	pods *vanished.Pods
	mu   sync.Mutex // guards told
	told []string
	tell func(registry.Change)
}

// newFixture returns kept pods that are not followed by a Repairer: each pod that is removed may have vanished.
func newFixture(t *testing.T) *fixture {
	r, etcd := registrytest.New(t)
	f := &fixture{T: t, r: r, etcd: etcd, pods: vanished.New(bynode.NewCopies())}
	f.tell = f.pods.Follower(func(c registry.Change) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = append(f.told, describe(c))
	})
	return f
}

// tolds is what the follower was told since the last call of wantTold or forgetTold, sorted, each once: with the repair running, a deletion
// comes both from it and from the pods' own watch.
func (f *fixture) tolds() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(f.told)))
}

func (f *fixture) forgetTold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = nil
}

// describe is "+name", "-name" or "=name" for a pod that is new, deleted or changed, with the last letter of its uid.
func describe(c registry.Change) string {
	switch {
	case c.Old == nil:
		return "+" + c.New.Name
	case c.New == nil:
		return "-" + c.Old.Name
	}
	return "=" + c.New.Name
}

// pod creates a pod, on n1 unless it is changed.
func (f *fixture) pod(name string, change ...func(*corev1.Pod)) *registry.Item {
	f.Helper()
	p := registrytest.Pod(name)
	p.Spec.NodeName = "n1"
	for _, c := range change {
		c(p)
	}
	return registrytest.Must(f)(f.r.Create(registrytest.Context(f), core.Pod, p, registry.WriteOptions{}))
}

func (f *fixture) wantTold(want ...string) {
	f.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.Join(f.told, " ") != strings.Join(want, " ") {
		f.Errorf("the follower is told %v, want %v", f.told, want)
	}
	f.told = nil
}

// list are the names of a list with what there is: the names of items.
func (f *fixture) list(o registry.ListOptions, items ...*registry.Item) string {
	f.Helper()
	l, err := f.pods.List("default", o, func() (registry.List, error) { return registry.List{Items: items}, nil })
	if err != nil {
		f.Fatal(err)
	}
	return registrytest.Names(l)
}

func notFound() (*registry.Item, error) { return nil, &registry.Error{Kind: registry.NotFound} }

func owned(uid string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Labels = map[string]string{"owner": uid}
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: types.UID(uid), Controller: new(true)}}
	}
}

// A pod that is kept is in every read, once, until it is gone.
func TestAKeptPodIsRead(t *testing.T) {
	f := newFixture(t)
	a, b := f.pod("a", owned("u1")), f.pod("b", owned("u2"))
	f.pods.Removed(b)
	for _, c := range []struct {
		name  string
		o     registry.ListOptions
		items []*registry.Item
		want  string
	}{
		{"all", registry.ListOptions{}, []*registry.Item{a}, "a b"},
		{"one that is there again", registry.ListOptions{}, []*registry.Item{a, b}, "a b"},
		{"by labels that it has", registry.ListOptions{Labels: "owner=u2"}, nil, "b"},
		{"by labels that it lacks", registry.ListOptions{Labels: "owner=u1"}, []*registry.Item{a}, "a"},
		{"by its node", registry.ListOptions{Fields: "spec.nodeName=n1"}, []*registry.Item{a}, "a b"},
		{"by another node", registry.ListOptions{Fields: "spec.nodeName=n2"}, nil, ""},
		{"a page", registry.ListOptions{Limit: 5}, []*registry.Item{a}, "a"},
	} {
		if got := f.list(c.o, c.items...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if it, err := f.pods.Get("default", "b", notFound); err != nil || it != b {
		t.Errorf("reading b: %v, %v", it, err)
	}
	if _, err := f.pods.Get("default", "c", notFound); !errors.Is(err, registry.NotFound) {
		t.Errorf("reading a pod that never was: %v", err)
	}
	unavailable := func() (*registry.Item, error) { return nil, &registry.Error{Kind: registry.Unavailable} }
	if _, err := f.pods.Get("default", "b", unavailable); !errors.Is(err, registry.Unavailable) {
		t.Errorf("reading b without a store: %v", err)
	}
	for uid, want := range map[string]int{"u1": 0, "u2": 1} {
		if items, err := f.pods.Owned(uid, func() ([]*registry.Item, error) { return nil, nil }); err != nil || len(items) != want {
			t.Errorf("%s owns %d pods, want %d; %v", uid, len(items), want, err)
		}
	}
	f.pods.Gone("default", "b")
	if got := f.list(registry.ListOptions{}, a); got != "a" {
		t.Errorf("after it is gone: %q", got)
	}
}

// Pods that have no containers, and those that were to go, are not kept.
func TestPodsThatAreNotKept(t *testing.T) {
	f := newFixture(t)
	unbound := f.pod("unbound", func(p *corev1.Pod) { p.Spec.NodeName = "" })
	f.pod("leaving")
	leaving, _, err := f.r.Delete(registrytest.Context(t), core.Pod, "default", "leaving", registry.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range []*registry.Item{unbound, leaving} {
		f.pods.Removed(it)
		f.tell(registry.Change{Old: it})
	}
	if got := f.list(registry.ListOptions{}); got != "" {
		t.Errorf("kept are %s", got)
	}
	f.wantTold("-unbound", "-leaving")
}

// The follower is told of the deletion of a kept pod when it is gone, once, and not if it is put back.
func TestFollowerOfKeptPods(t *testing.T) {
	f := newFixture(t)
	a := f.pod("a")
	f.tell(registry.Change{New: a})
	f.wantTold("+a")

	f.pods.Removed(a)
	f.tell(registry.Change{Old: a})
	f.wantTold()
	f.tell(registry.Change{New: a}) // put back as it was
	f.wantTold("+a")
	if got := f.list(registry.ListOptions{}); got != "" {
		t.Errorf("a pod that is back is kept: %s", got)
	}

	f.pods.Removed(a)
	f.tell(registry.Change{Old: a})
	f.pods.Gone("default", "a")
	f.pods.Gone("default", "a")
	f.wantTold("-a")

	f.pods.Removed(a)
	f.tell(registry.Change{Old: a})
	if _, _, err := f.r.Delete(registrytest.Context(t), core.Pod, "default", "a", registry.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	f.tell(registry.Change{New: f.pod("a")}) // another pod of its name
	f.wantTold("-a", "+a")
}

// Pods that had vanished before anybody could see them go are told as new, once; then the pods are ready.
func TestPodsThatHadVanishedBefore(t *testing.T) {
	f := newFixture(t)
	a := f.pod("a")
	select {
	case <-f.pods.Ready():
		t.Error("ready before the copies are listed")
	default:
	}
	f.pods.Listed([]*registry.Item{a})
	f.pods.Listed([]*registry.Item{a})
	<-f.pods.Ready()
	f.wantTold("+a")
	if got := f.list(registry.ListOptions{}); got != "a" {
		t.Errorf("kept are %q", got)
	}
}

// With the repair running: pods deleted through the API are told at once, those deleted with etcdctl when they are given up.
func TestKeptWhileHeld(t *testing.T) {
	for _, raw := range []bool{false, true} {
		t.Run(fmt.Sprintf("raw %v", raw), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				ctx, cancel := context.WithCancel(t.Context())
				stop, err := f.r.OnRemoved(core.Pod, f.pods.Removed)
				if err != nil {
					t.Fatal(err)
				}
				defer stop()
				done := make(chan error, 2)
				go func() { done <- f.r.Follow(ctx, core.Pod, f.tell) }()
				go func() {
					done <- f.r.RepairByNode(ctx, f.pods.Copies(), bynode.Observer{Gone: f.pods.Gone}, f.pods.Listed)
				}()
				defer func() {
					cancel()
					<-done
					<-done
				}()
				var keys []string
				for i := range 6 {
					f.pod(fmt.Sprintf("p%d", i))
					keys = append(keys, fmt.Sprintf("/registry/pods/default/p%d", i))
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if told := strings.Join(f.tolds(), " "); told != "+p0 +p1 +p2 +p3 +p4 +p5" {
					t.Errorf("told of the new pods: %s", told)
				}
				f.forgetTold()
				if raw {
					storetest.Delete(t, f.etcd, keys...)
				} else if _, err := f.r.DeleteCollection(ctx, core.Pod, "default", registry.DeleteOptions{GracePeriodSeconds: new(int64)}, registry.ListOptions{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(bynode.HoldTime / 2)
				synctest.Wait()
				if told := len(f.tolds()); told != map[bool]int{true: 0, false: 6}[raw] {
					t.Errorf("%d deletions are told while pods may be held", told)
				}
				time.Sleep(bynode.HoldTime)
				synctest.Wait()
				if told := f.tolds(); len(told) != 6 {
					t.Errorf("told in the end: %v", told)
				}
			})
		})
	}
}
