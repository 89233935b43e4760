package registry

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"gantry/registry/mutation"
	"gantry/registry/store"
)

// testRegistry is a running registry on a store; it ends with the test.
func testRegistry(t *testing.T, s store.Store) *Registry {
	t.Helper()
	return runRegistry(t, Config{Store: s, Kinds: testKinds(), Agent: "test", Log: slog.New(slog.DiscardHandler)})
}

func runRegistry(t *testing.T, cfg Config) *Registry {
	t.Helper()
	mutation.Detect(true)
	t.Cleanup(func() {
		if err := mutation.Changed(); err != nil {
			t.Error(err)
		}
	})
	r := New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func podJSON(namespace, name, labels string) string {
	return fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":%q,"uid":%q,"labels":{%s}},"spec":{"containers":[{"name":"c","image":"i"}]},"status":{}}`,
		name, namespace, uidOf(name), labels)
}

// uidOf is a uid by name.
func uidOf(name string) string {
	x := md5.Sum([]byte(name))
	return fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:])
}

// put writes a raw value, as etcdctl does, and returns its revision.
func put(t *testing.T, s store.Store, key, value string) int64 {
	t.Helper()
	res, err := s.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: key, Value: []byte(value)}}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Revision
}

func del(t *testing.T, s store.Store, keys ...string) int64 {
	t.Helper()
	res, err := s.Commit(testContext(t), store.Txn{Deletes: keys})
	if err != nil {
		t.Fatal(err)
	}
	return res.Revision
}

// show is events as text: "ADDED web 5".
func show(events []Event) []string {
	var out []string
	for _, e := range events {
		name := ""
		if e.Item != nil {
			name = e.Item.Name
		}
		out = append(out, fmt.Sprintf("%s %s %d", e.Type, name, e.Revision))
	}
	return out
}

// next reads n events.
func next(t *testing.T, w *Watcher, n int) []Event {
	t.Helper()
	ctx := testContext(t)
	var events []Event
	for len(events) < n {
		var err error
		if events, err = w.Next(ctx, events); err != nil {
			t.Fatalf("after %v: %v", show(events), err)
		}
	}
	return events
}

func TestReadsOfTheFake(t *testing.T) {
	s := store.NewFake()
	a := put(t, s, "/registry/pods/default/a", podJSON("default", "a", `"app":"web"`))
	r := testRegistry(t, s)
	ctx := testContext(t)
	l, err := r.List(ctx, podKind, "", ListOptions{})
	if err != nil || len(l.Items) != 1 || l.Revision != a {
		t.Fatalf("List = %+v, %v", l, err)
	}
	w, err := r.Watch(ctx, podKind, "", WatchOptions{ResourceVersion: fmt.Sprint(l.Revision), Labels: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	b := put(t, s, "/registry/pods/default/a", podJSON("default", "a", `"app":"db"`))
	put(t, s, "/registry/pods/default/b", podJSON("default", "b", `"app":"web"`))
	d := del(t, s, "/registry/pods/default/b")
	got := next(t, w, 3)
	want := fmt.Sprintf("[DELETED a %d ADDED b %d DELETED b %d]", b, b+1, d)
	if fmt.Sprint(show(got)) != want {
		t.Errorf("events = %v, want %s", show(got), want)
	}
	it, err := r.Get(ctx, podKind, "default", "a", "")
	if err != nil || it.Revision != b || it.Object().(*corev1.Pod).Labels["app"] != "db" {
		t.Errorf("Get = %+v, %v", it, err)
	}
}

func TestWatchStarts(t *testing.T) {
	s := store.NewFake()
	a := put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	b := put(t, s, "/registry/pods/n/b", podJSON("n", "b", ""))
	r := testRegistry(t, s)
	c := put(t, s, "/registry/pods/n/c", podJSON("n", "c", ""))
	yes, no := true, false
	added := func(name string, rev int64) string { return fmt.Sprintf("ADDED %s %d", name, rev) }
	state := []string{added("a", a), added("b", b), added("c", c)}
	end := fmt.Sprintf("BOOKMARK  %d", c)
	tests := []struct {
		name string
		o    WatchOptions
		want []string // and then the change below
	}{
		{"unset", WatchOptions{}, state},
		{"0", WatchOptions{ResourceVersion: "0"}, state},
		{"of a list", WatchOptions{ResourceVersion: fmt.Sprint(c)}, nil},
		{"before the cache", WatchOptions{ResourceVersion: fmt.Sprint(a)}, state[1:]},
		{"initial events", WatchOptions{SendInitialEvents: &yes, ResourceVersionMatch: "NotOlderThan", Bookmarks: true}, append(state[:3:3], end)},
		{"initial events from 0", WatchOptions{SendInitialEvents: &yes, ResourceVersion: "0", ResourceVersionMatch: "NotOlderThan", Bookmarks: true}, append(state[:3:3], end)},
		{"initial events of N", WatchOptions{SendInitialEvents: &yes, ResourceVersion: fmt.Sprint(b), ResourceVersionMatch: "NotOlderThan", Bookmarks: true}, append(state[:3:3], end)},
		{"initial events without bookmarks", WatchOptions{SendInitialEvents: &yes, ResourceVersionMatch: "NotOlderThan"}, state},
		{"no initial events", WatchOptions{SendInitialEvents: &no, ResourceVersionMatch: "NotOlderThan"}, nil},
		{"no initial events from 0", WatchOptions{SendInitialEvents: &no, ResourceVersion: "0", ResourceVersionMatch: "NotOlderThan"}, nil},
	}
	if err := r.Observed(testContext(t), podKind, c); err != nil {
		t.Fatal(err)
	}
	var watchers []*Watcher
	for _, tt := range tests {
		w, err := r.Watch(testContext(t), podKind, "n", tt.o)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		watchers = append(watchers, w)
	}
	d := put(t, s, "/registry/pods/n/d", podJSON("n", "d", ""))
	for i, tt := range tests {
		want := append(tt.want[:len(tt.want):len(tt.want)], added("d", d))
		events := next(t, watchers[i], len(want))
		if diff := cmp.Diff(want, show(events)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		for _, e := range events {
			if e.InitialEnd != (e.Type == Bookmark) {
				t.Errorf("%s: %+v", tt.name, e)
			}
		}
	}
}

func TestWatchOptions(t *testing.T) {
	r := testRegistry(t, store.NewFake())
	yes := true
	for want, o := range map[string]WatchOptions{
		"resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan":          {SendInitialEvents: &yes},
		"resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided": {ResourceVersionMatch: "NotOlderThan"},
		`resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"`:                                {SendInitialEvents: &yes, ResourceVersionMatch: "Exact"},
	} {
		_, err := r.Watch(testContext(t), podKind, "", o)
		if !errors.Is(err, Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
	_, err := r.Watch(testContext(t), podKind, "", WatchOptions{ResourceVersion: "x"})
	if !errors.Is(err, BadRequest) {
		t.Errorf("resourceVersion x: %v", err)
	}
}

func TestWatchFromTheFuture(t *testing.T) {
	s := store.NewFake()
	a := put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	r := testRegistry(t, s)
	w, err := r.Watch(testContext(t), podKind, "", WatchOptions{ResourceVersion: fmt.Sprint(a + 2)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		put(t, s, "/registry/pods/n/a", podJSON("n", "a", fmt.Sprintf(`"i":"%d"`, i)))
	}
	if got, want := fmt.Sprint(show(next(t, w, 1))), fmt.Sprintf("[MODIFIED a %d]", a+3); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}

func TestWatchFromBeforeTheCompaction(t *testing.T) {
	s := store.NewFake()
	a := put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	put(t, s, "/registry/pods/n/a", podJSON("n", "a", `"x":"y"`))
	b := put(t, s, "/registry/pods/n/b", podJSON("n", "b", ""))
	s.Compact(b)
	r := testRegistry(t, s)
	w, err := r.Watch(testContext(t), podKind, "", WatchOptions{ResourceVersion: fmt.Sprint(a)})
	if err == nil {
		_, err = w.Next(testContext(t), nil)
	}
	if !errors.Is(err, Expired) || !strings.Contains(err.Error(), fmt.Sprintf("too old resource version: %d (%d)", a, b)) {
		t.Errorf("error %v", err)
	}
}

func TestSlowWatcherExpires(t *testing.T) {
	s := store.NewFake()
	r := testRegistry(t, s)
	r.reads.caches.of(podKind).ring.limit = 10
	w, err := r.Watch(testContext(t), podKind, "", WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var rev int64
	for i := range 50 {
		rev = put(t, s, "/registry/pods/n/a", podJSON("n", "a", fmt.Sprintf(`"i":"%d"`, i)))
	}
	if err := r.Observed(testContext(t), podKind, rev); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(testContext(t), nil); !errors.Is(err, Expired) {
		t.Errorf("error %v, want Expired", err)
	}
}

func TestDeletedCarriesTheLastState(t *testing.T) {
	s := store.NewFake()
	put(t, s, "/registry/pods/n/a", podJSON("n", "a", `"last":"state"`))
	r := testRegistry(t, s)
	w, err := r.Watch(testContext(t), podKind, "", WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	next(t, w, 1)
	d := del(t, s, "/registry/pods/n/a")
	e := next(t, w, 1)[0]
	pod := e.Item.Object().(*corev1.Pod)
	if e.Type != Deleted || e.Item.Revision != d || pod.ResourceVersion != fmt.Sprint(d) || pod.Labels["last"] != "state" {
		t.Errorf("event %+v, %s", e, e.Item.JSON)
	}
}

func TestBookmarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.NewFake()
		r := New(Config{Store: s, Kinds: testKinds(), Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		w, err := r.Watch(ctx, podKind, "", WatchOptions{Bookmarks: true})
		if err != nil {
			t.Fatal(err)
		}
		rev := put(t, s, "/registry/minions/x", "{}") // not in the range of the pods' watch
		began := time.Now()
		events, err := w.Next(ctx, nil)
		if err != nil || len(events) != 1 || events[0].Type != Bookmark || events[0].Revision != rev || events[0].InitialEnd {
			t.Errorf("events %+v, %v, want a bookmark at %d", events, err, rev)
		}
		if d := time.Since(began); d > bookmarkEvery {
			t.Errorf("a bookmark after %s", d)
		}
		cancel()
		synctest.Wait()
	})
}

// TestRestoredStore: etcd goes back in time, as when a backup is restored without raising its revision.
func TestRestoredStore(t *testing.T) {
	s := store.NewFake()
	a := put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	put(t, s, "/registry/pods/n/b", podJSON("n", "b", ""))
	r := testRegistry(t, s)
	ctx := testContext(t)
	w, err := r.Watch(ctx, podKind, "", WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	next(t, w, 2)
	s.Rewind(a)
	if err := waitFor(ctx, func() bool {
		l, err := r.List(ctx, podKind, "", ListOptions{})
		return err == nil && names(l) == "a" && l.Revision == a
	}); err != nil {
		t.Error("the cache still serves what the store has not")
	}
	if events, err := w.Next(ctx, nil); !errors.Is(err, Expired) {
		t.Errorf("events %v, %v, want Expired", show(events), err)
	}
}

func waitFor(ctx context.Context, f func() bool) error {
	for !f() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		runtime.Gosched()
	}
	return nil
}

// TestEtcdAway: reads that may be old go on, others say what is wrong and do not hang.
func TestEtcdAway(t *testing.T) {
	s := store.NewFake()
	put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	r := testRegistry(t, s)
	if _, err := r.Get(testContext(t), podKind, "n", "a", ""); err != nil {
		t.Fatal(err)
	}
	s.Fail(&store.Error{Kind: store.Unavailable, Reason: "etcd is away"})
	if _, err := r.Get(testContext(t), podKind, "n", "a", "0"); err != nil {
		t.Errorf("an old read: %v", err)
	}
	if _, err := r.Get(testContext(t), podKind, "n", "a", ""); !errors.Is(err, Unavailable) {
		t.Errorf("a consistent read: %v, want Unavailable", err)
	}
	if err := r.Ready(testContext(t)); err == nil || !strings.Contains(err.Error(), "etcd is away") {
		t.Errorf("Ready: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Get(ctx, nodeKind, "", "x", "0"); !errors.Is(err, Unavailable) {
		t.Errorf("a read of a cache that could not be filled: %v, want Unavailable", err)
	}
	s.Fail(nil)
	rev := put(t, s, "/registry/pods/n/b", podJSON("n", "b", ""))
	if err := r.Observed(testContext(t), podKind, rev); err != nil {
		t.Error(err)
	}
	if err := waitFor(testContext(t), func() bool { return r.Ready(testContext(t)) == nil }); err != nil {
		t.Errorf("Ready: %v", r.Ready(testContext(t)))
	}
}

// TestByNode: a node's registry reads its pods from the node's own range.
func TestByNode(t *testing.T) {
	s := store.NewFake()
	put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	rev := put(t, s, "/gantry/bynode/n1/pods/n/b", podJSON("n", "b", ""))
	put(t, s, "/gantry/bynode/n10/pods/n/c", podJSON("n", "c", ""))
	r := runRegistry(t, Config{Store: s, Kinds: testKinds(), Node: "n1", Log: slog.New(slog.DiscardHandler)})
	l, err := r.List(testContext(t), podKind, "", ListOptions{})
	if err != nil || names(l) != "b" || l.Items[0].Revision != rev {
		t.Errorf("%s, %v", names(l), err)
	}
}

// TestManyObjectsOfARevision: `etcdctl del --prefix` deletes all of them under one revision.
func TestManyObjectsOfARevision(t *testing.T) {
	s := store.NewFake()
	var keys []string
	for _, name := range []string{"a", "b", "c", "d"} {
		keys = append(keys, "/registry/pods/n/"+name)
		put(t, s, "/registry/pods/n/"+name, podJSON("n", name, fmt.Sprintf(`"odd":"%v"`, name == "b" || name == "d")))
	}
	r := testRegistry(t, s)
	w, err := r.Watch(testContext(t), podKind, "", WatchOptions{Labels: "odd=true"})
	if err != nil {
		t.Fatal(err)
	}
	next(t, w, 2)
	rev := del(t, s, keys...)
	if got, want := fmt.Sprint(show(next(t, w, 2))), fmt.Sprintf("[DELETED b %d DELETED d %d]", rev, rev); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}
