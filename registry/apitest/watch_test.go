package apitest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

func TestReadsOfTheFake(t *testing.T) {
	s := store.NewFake()
	a := storetest.Put(t, s, "/registry/pods/default/a", storetest.Pod("default", "a", `"app":"web"`))
	r := registrytest.On(t, s)
	ctx := registrytest.Context(t)
	l, err := r.List(ctx, core.Pod, "", registry.ListOptions{})
	if err != nil || len(l.Items) != 1 || l.Revision != a {
		t.Fatalf("List = %+v, %v", l, err)
	}
	w, err := r.Watch(ctx, core.Pod, "", registry.WatchOptions{ResourceVersion: fmt.Sprint(l.Revision), Labels: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	b := storetest.Put(t, s, "/registry/pods/default/a", storetest.Pod("default", "a", `"app":"db"`))
	storetest.Put(t, s, "/registry/pods/default/b", storetest.Pod("default", "b", `"app":"web"`))
	d := storetest.Delete(t, s, "/registry/pods/default/b")
	got := registrytest.Next(t, w, 3)
	want := fmt.Sprintf("[DELETED a %d ADDED b %d DELETED b %d]", b, b+1, d)
	if fmt.Sprint(registrytest.Show(got)) != want {
		t.Errorf("events = %v, want %s", registrytest.Show(got), want)
	}
	it, err := r.Get(ctx, core.Pod, "default", "a", "")
	if err != nil || it.Revision != b || it.Object().(*corev1.Pod).Labels["app"] != "db" {
		t.Errorf("Get = %+v, %v", it, err)
	}
}

func TestWatchStarts(t *testing.T) {
	s := store.NewFake()
	a := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	b := storetest.Put(t, s, "/registry/pods/n/b", storetest.Pod("n", "b", ""))
	r := registrytest.On(t, s)
	c := storetest.Put(t, s, "/registry/pods/n/c", storetest.Pod("n", "c", ""))
	yes, no := true, false
	added := func(name string, rev int64) string { return fmt.Sprintf("ADDED %s %d", name, rev) }
	state := []string{added("a", a), added("b", b), added("c", c)}
	end := fmt.Sprintf("BOOKMARK  %d", c)
	tests := []struct {
		name string
		o    registry.WatchOptions
		want []string // and then the change below
	}{
		{"unset", registry.WatchOptions{}, state},
		{"0", registry.WatchOptions{ResourceVersion: "0"}, state},
		{"of a list", registry.WatchOptions{ResourceVersion: fmt.Sprint(c)}, nil},
		{"before the cache", registry.WatchOptions{ResourceVersion: fmt.Sprint(a)}, state[1:]},
		{"initial events", registry.WatchOptions{SendInitialEvents: &yes, ResourceVersionMatch: "NotOlderThan", Bookmarks: true}, append(state[:3:3], end)},
		{"initial events from 0", registry.WatchOptions{SendInitialEvents: &yes, ResourceVersion: "0", ResourceVersionMatch: "NotOlderThan", Bookmarks: true}, append(state[:3:3], end)},
		{"initial events of N", registry.WatchOptions{SendInitialEvents: &yes, ResourceVersion: fmt.Sprint(b), ResourceVersionMatch: "NotOlderThan", Bookmarks: true}, append(state[:3:3], end)},
		{"initial events without bookmarks", registry.WatchOptions{SendInitialEvents: &yes, ResourceVersionMatch: "NotOlderThan"}, state},
		{"no initial events", registry.WatchOptions{SendInitialEvents: &no, ResourceVersionMatch: "NotOlderThan"}, nil},
		{"no initial events from 0", registry.WatchOptions{SendInitialEvents: &no, ResourceVersion: "0", ResourceVersionMatch: "NotOlderThan"}, nil},
	}
	if err := r.Observed(registrytest.Context(t), core.Pod, c); err != nil {
		t.Fatal(err)
	}
	var watchers []*registry.Watcher
	for _, tt := range tests {
		w, err := r.Watch(registrytest.Context(t), core.Pod, "n", tt.o)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		watchers = append(watchers, w)
	}
	d := storetest.Put(t, s, "/registry/pods/n/d", storetest.Pod("n", "d", ""))
	for i, tt := range tests {
		want := append(tt.want[:len(tt.want):len(tt.want)], added("d", d))
		events := registrytest.Next(t, watchers[i], len(want))
		if diff := cmp.Diff(want, registrytest.Show(events)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		for _, e := range events {
			if e.InitialEnd != (e.Type == registry.Bookmark) {
				t.Errorf("%s: %+v", tt.name, e)
			}
		}
	}
}

func TestWatchOptions(t *testing.T) {
	r := registrytest.On(t, store.NewFake())
	yes := true
	for want, o := range map[string]registry.WatchOptions{
		"resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan":          {SendInitialEvents: &yes},
		"resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided": {ResourceVersionMatch: "NotOlderThan"},
		`resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"`:                                {SendInitialEvents: &yes, ResourceVersionMatch: "Exact"},
	} {
		_, err := r.Watch(registrytest.Context(t), core.Pod, "", o)
		if !errors.Is(err, registry.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
	_, err := r.Watch(registrytest.Context(t), core.Pod, "", registry.WatchOptions{ResourceVersion: "x"})
	if !errors.Is(err, registry.BadRevision) {
		t.Errorf("resourceVersion x: %v", err)
	}
}

func TestWatchFromTheFuture(t *testing.T) {
	s := store.NewFake()
	a := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	r := registrytest.On(t, s)
	w, err := r.Watch(registrytest.Context(t), core.Pod, "", registry.WatchOptions{ResourceVersion: fmt.Sprint(a + 2)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", fmt.Sprintf(`"i":"%d"`, i)))
	}
	if got, want := fmt.Sprint(registrytest.Show(registrytest.Next(t, w, 1))), fmt.Sprintf("[MODIFIED a %d]", a+3); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}

func TestWatchFromBeforeTheCompaction(t *testing.T) {
	s := store.NewFake()
	a := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", `"x":"y"`))
	b := storetest.Put(t, s, "/registry/pods/n/b", storetest.Pod("n", "b", ""))
	s.Compact(b)
	r := registrytest.On(t, s)
	w, err := r.Watch(registrytest.Context(t), core.Pod, "", registry.WatchOptions{ResourceVersion: fmt.Sprint(a)})
	if err == nil {
		_, err = w.Next(registrytest.Context(t), nil)
	}
	if !errors.Is(err, registry.Expired) || !strings.Contains(err.Error(), fmt.Sprintf("too old resource version: %d (%d)", a, b)) {
		t.Errorf("error %v", err)
	}
}

func TestDeletedCarriesTheLastState(t *testing.T) {
	s := store.NewFake()
	storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", `"last":"state"`))
	r := registrytest.On(t, s)
	w, err := r.Watch(registrytest.Context(t), core.Pod, "", registry.WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	registrytest.Next(t, w, 1)
	d := storetest.Delete(t, s, "/registry/pods/n/a")
	e := registrytest.Next(t, w, 1)[0]
	pod := e.Item.Object().(*corev1.Pod)
	if e.Type != registry.Deleted || e.Item.Revision != d || pod.ResourceVersion != fmt.Sprint(d) || pod.Labels["last"] != "state" {
		t.Errorf("event %+v, %s", e, e.Item.JSON)
	}
}

func TestBookmarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.NewFake()
		r := registry.New(registry.Config{Store: s, Kinds: kinds.New(), Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		w, err := r.Watch(ctx, core.Pod, "", registry.WatchOptions{Bookmarks: true})
		if err != nil {
			t.Fatal(err)
		}
		rev := storetest.Put(t, s, "/registry/minions/x", "{}") // not in the range of the pods' watch
		began := time.Now()
		events, err := w.Next(ctx, nil)
		if err != nil || len(events) != 1 || events[0].Type != registry.Bookmark || events[0].Revision != rev || events[0].InitialEnd {
			t.Errorf("events %+v, %v, want a bookmark at %d", events, err, rev)
		}
		if d := time.Since(began); d > time.Minute {
			t.Errorf("a bookmark after %s", d)
		}
		cancel()
		synctest.Wait()
	})
}

// TestRestoredStore restores etcd to an earlier state and revision.
func TestRestoredStore(t *testing.T) {
	s := store.NewFake()
	a := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	storetest.Put(t, s, "/registry/pods/n/b", storetest.Pod("n", "b", ""))
	r := registrytest.On(t, s)
	ctx := registrytest.Context(t)
	w, err := r.Watch(ctx, core.Pod, "", registry.WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	registrytest.Next(t, w, 2)
	s.Rewind(a)
	if err := registrytest.WaitFor(ctx, func() bool {
		l, err := r.List(ctx, core.Pod, "", registry.ListOptions{})
		return err == nil && registrytest.Names(l) == "a" && l.Revision == a
	}); err != nil {
		t.Error("the cache still serves what the store has not")
	}
	if events, err := w.Next(ctx, nil); !errors.Is(err, registry.Expired) {
		t.Errorf("events %v, %v, want Expired", registrytest.Show(events), err)
	}
}

// TestEtcdAway checks that without etcd a read that may be old succeeds, and that other reads fail in time.
func TestEtcdAway(t *testing.T) {
	s := store.NewFake()
	storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
	r := registrytest.On(t, s)
	if _, err := r.Get(registrytest.Context(t), core.Pod, "n", "a", ""); err != nil {
		t.Fatal(err)
	}
	s.Fail(&store.Error{Kind: store.Unavailable, Reason: "etcd is away"})
	if _, err := r.Get(registrytest.Context(t), core.Pod, "n", "a", "0"); err != nil {
		t.Errorf("an old read: %v", err)
	}
	if _, err := r.Get(registrytest.Context(t), core.Pod, "n", "a", ""); !errors.Is(err, registry.Unavailable) {
		t.Errorf("a consistent read: %v, want Unavailable", err)
	}
	if err := r.Ready(registrytest.Context(t)); err == nil || !strings.Contains(err.Error(), "etcd is away") {
		t.Errorf("Ready: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Get(ctx, core.Node, "", "x", "0"); !errors.Is(err, registry.Unavailable) {
		t.Errorf("a read of a cache that could not be filled: %v, want Unavailable", err)
	}
	s.Fail(nil)
	rev := storetest.Put(t, s, "/registry/pods/n/b", storetest.Pod("n", "b", ""))
	if err := r.Observed(registrytest.Context(t), core.Pod, rev); err != nil {
		t.Error(err)
	}
	if err := registrytest.WaitFor(registrytest.Context(t), func() bool { return r.Ready(registrytest.Context(t)) == nil }); err != nil {
		t.Errorf("Ready: %v", r.Ready(registrytest.Context(t)))
	}
}

// TestManyObjectsOfARevision checks the events of several deletions in one revision, as of `etcdctl del --prefix`.
func TestManyObjectsOfARevision(t *testing.T) {
	s := store.NewFake()
	var keys []string
	for _, name := range []string{"a", "b", "c", "d"} {
		keys = append(keys, "/registry/pods/n/"+name)
		storetest.Put(t, s, "/registry/pods/n/"+name, storetest.Pod("n", name, fmt.Sprintf(`"odd":"%v"`, name == "b" || name == "d")))
	}
	r := registrytest.On(t, s)
	w, err := r.Watch(registrytest.Context(t), core.Pod, "", registry.WatchOptions{Labels: "odd=true"})
	if err != nil {
		t.Fatal(err)
	}
	registrytest.Next(t, w, 2)
	rev := storetest.Delete(t, s, keys...)
	if got, want := fmt.Sprint(registrytest.Show(registrytest.Next(t, w, 2))), fmt.Sprintf("[DELETED b %d DELETED d %d]", rev, rev); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}
