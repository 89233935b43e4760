// Package storetest is the conformance suite of store.Store: what the registry relies on in etcd, as tests that
// every Store must pass.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gantry/registry/store"
)

// Env is a fresh, empty store and what the suite does to it from outside.
type Env struct {
	store.Store
	// Compact forgets the history before rev.
	Compact func(rev int64)
}

// wait bounds everything the suite waits for.
const wait = 30 * time.Second

// Run runs the suite; open makes a store that ends with its test.
func Run(t *testing.T, open func(t *testing.T) Env) {
	tests := []struct {
		name string
		run  func(t *testing.T, s Env)
	}{
		{"Get", testGet},
		{"List", testList},
		{"Commit", testCommit},
		{"CommitCreate", testCommitCreate},
		{"CommitManyKeys", testCommitManyKeys},
		{"Compacted", testCompacted},
		{"Future", testFuture},
		{"Watch", testWatch},
		{"WatchFromTheFuture", testWatchFuture},
		{"WatchAtTheCompaction", testWatchAtCompaction},
		{"WatchWholeRevisions", testWatchWhole},
		{"Progress", testProgress},
		{"ProgressOfMany", testProgressOfMany},
		{"Lease", testLease},
		{"Cancelled", testCancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	t.Cleanup(cancel)
	return ctx
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func wantKind(t *testing.T, what string, err error, kind store.ErrorKind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error %v, want %q", what, err, kind)
	}
}

func testGet(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	b := Put(t, s, "/r/a", "2")
	kv, rev, err := s.Get(within(t), "/r/a", 0)
	if err != nil || rev != b {
		t.Fatalf("Get = %v, %d, %v", kv, rev, err)
	}
	same(t, "latest", kv, &store.KV{Key: "/r/a", Value: []byte("2"), ModRevision: b, CreateRevision: a})
	kv, _, err = s.Get(within(t), "/r/a", a)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "old", kv, &store.KV{Key: "/r/a", Value: []byte("1"), ModRevision: a, CreateRevision: a})
	kv, rev, err = s.Get(within(t), "/r/none", 0)
	if kv != nil || rev != b || err != nil {
		t.Errorf("Get of an absent key = %v, %d, %v", kv, rev, err)
	}
	d := Delete(t, s, "/r/a")
	if kv, _, err = s.Get(within(t), "/r/a", 0); kv != nil || err != nil {
		t.Errorf("Get of a deleted key = %v, %v", kv, err)
	}
	if rev, err := s.Revision(within(t)); rev != d || err != nil {
		t.Errorf("Revision = %d, %v, want %d", rev, err, d)
	}
}

func testList(t *testing.T, s Env) {
	for _, k := range []string{"/r/b", "/r/a", "/r/c/d", "/s/x", "/r0"} {
		Put(t, s, k, k)
	}
	before := Put(t, s, "/r/e", "e")
	Delete(t, s, "/r/a")
	keys := func(start string, limit, rev int64) string {
		t.Helper()
		kvs, count, _, err := s.List(within(t), start, "/r0", limit, rev)
		if err != nil {
			t.Fatal(err)
		}
		out := fmt.Sprint(count)
		for _, kv := range kvs {
			out += " " + kv.Key
		}
		return out
	}
	same(t, "all", keys("/r/", 0, 0), "3 /r/b /r/c/d /r/e")
	same(t, "limit", keys("/r/", 2, 0), "3 /r/b /r/c/d")
	same(t, "second page", keys("/r/c/d\x00", 2, 0), "1 /r/e")
	same(t, "old", keys("/r/", 0, before), "4 /r/a /r/b /r/c/d /r/e")
	same(t, "none", keys("/r/x", 0, 0), "0")
}

func testCommit(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	swap := func(rev int64, value string) store.TxnResult {
		t.Helper()
		res, err := s.Commit(within(t), store.Txn{
			Compares: []store.Compare{{Key: "/r/a", Revision: rev}},
			Puts:     []store.Put{{Key: "/r/a", Value: []byte(value)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := swap(a, "2"); !res.Done || res.Revision != a+1 {
		t.Errorf("swap = %+v", res)
	}
	res := swap(a, "3")
	if res.Done || res.Revision != a+1 {
		t.Errorf("stale swap = %+v", res)
	}
	same(t, "current", res.Current, map[string]*store.KV{
		"/r/a": {Key: "/r/a", Value: []byte("2"), ModRevision: a + 1, CreateRevision: a}})
	if res := swap(0, "3"); res.Done {
		t.Errorf("swap of a present key as absent = %+v", res)
	}
	d := Delete(t, s, "/r/a")
	res = swap(a+1, "3")
	if kv, there := res.Current["/r/a"]; res.Done || !there || kv != nil {
		t.Errorf("swap of a deleted key = %+v", res)
	}
	if res := swap(0, "4"); !res.Done || res.Revision != d+1 {
		t.Errorf("creation = %+v", res)
	}
	res, err := s.Commit(within(t), store.Txn{Deletes: []string{"/r/none"}})
	if err != nil || !res.Done || res.Revision != d+1 {
		t.Errorf("deleting an absent key = %+v, %v: want the revision unchanged", res, err)
	}
}

func testCommitCreate(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	Put(t, s, "/r/a", "2")
	guarded := func(create int64) bool {
		t.Helper()
		res, err := s.Commit(within(t), store.Txn{
			Compares: []store.Compare{{Key: "/r/a", Revision: create, Create: true}},
			Puts:     []store.Put{{Key: "/r/b", Value: []byte("x")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return res.Done
	}
	if !guarded(a) {
		t.Error("the create revision does not hold")
	}
	Delete(t, s, "/r/a")
	if guarded(a) {
		t.Error("a create revision of a deleted key holds")
	}
	if Put(t, s, "/r/a", "3"); guarded(a) {
		t.Error("the create revision of an earlier life holds")
	}
}

func testCommitManyKeys(t *testing.T, s Env) {
	Put(t, s, "/r/old", "x")
	rev := commit(t, s, store.Txn{
		Compares: []store.Compare{{Key: "/r/a"}, {Key: "/r/b"}},
		Puts:     []store.Put{{Key: "/r/a", Value: []byte("1")}, {Key: "/r/b", Value: []byte("2")}},
		Deletes:  []string{"/r/old"},
	})
	kvs, _, _, err := s.List(within(t), "/r/", "/r0", 0, 0)
	if err != nil || len(kvs) != 2 || kvs[0].ModRevision != rev || kvs[1].ModRevision != rev {
		t.Errorf("List = %v, %v: want both keys at %d", kvs, err, rev)
	}
	res, err := s.Commit(within(t), store.Txn{
		Compares: []store.Compare{{Key: "/r/a", Revision: rev}, {Key: "/r/b"}},
		Puts:     []store.Put{{Key: "/r/c", Value: []byte("3")}},
	})
	if err != nil || res.Done || len(res.Current) != 2 || res.Current["/r/a"] == nil || res.Current["/r/b"] == nil {
		t.Errorf("a half-true compare = %+v, %v", res, err)
	}
	res, err = s.Commit(within(t), store.Txn{
		Compares: []store.Compare{{Key: "/r/b", Unread: true}, {Key: "/r/a", Revision: rev}},
		Puts:     []store.Put{{Key: "/r/c", Value: []byte("3")}},
	})
	if _, there := res.Current["/r/b"]; err != nil || res.Done || there || res.Current["/r/a"] == nil {
		t.Errorf("a compare without a look = %+v, %v", res, err)
	}
}

func testCompacted(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	b := Put(t, s, "/r/a", "2")
	s.Compact(b)
	_, _, err := s.Get(within(t), "/r/a", a)
	wantKind(t, "Get", err, store.Expired)
	_, _, _, err = s.List(within(t), "/r/", "/r0", 0, a)
	wantKind(t, "List", err, store.Expired)
	if kv, _, err := s.Get(within(t), "/r/a", b); err != nil || kv == nil || string(kv.Value) != "2" {
		t.Errorf("Get at the compacted revision itself = %v, %v", kv, err)
	}
	for batch := range s.Watch(within(t), "/r/", "/r0", a, false) {
		if wantKind(t, "Watch", batch.Err, store.Expired); batch.Revision != b {
			t.Errorf("Watch says that %d is the oldest revision, want %d", batch.Revision, b)
		}
	}
}

func testFuture(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	_, _, err := s.Get(within(t), "/r/a", a+10)
	wantKind(t, "Get", err, store.Unavailable)
}

func testCancelled(t *testing.T, s Env) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Revision(ctx)
	wantKind(t, "Revision", err, store.Timeout)
	_, err = s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "/r/a"}}})
	wantKind(t, "Commit", err, store.Timeout)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v does not wrap the ctx's error", err)
	}
	for range s.Watch(ctx, "/r/", "/r0", 1, false) {
		t.Error("a cancelled watch sends")
	}
}

func testLease(t *testing.T, s Env) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lease, lost, err := s.Grant(ctx, 5)
	if err != nil {
		t.Fatal(err)
	}
	rev := commit(t, s, store.Txn{Puts: []store.Put{{Key: "/r/a", Value: []byte("x"), Lease: lease}}})
	kv, _, err := s.Get(within(t), "/r/a", 0)
	if err != nil || kv == nil || kv.Lease != lease {
		t.Fatalf("Get = %+v, %v", kv, err)
	}
	events := s.Watch(within(t), "/r/", "/r0", rev+1, false)
	cancel()
	b := <-events
	if b.Err != nil || len(b.Events) != 1 || !b.Events[0].Delete {
		t.Errorf("the key of a revoked lease: %+v", b)
	}
	select {
	case <-lost:
	case <-within(t).Done():
		t.Error("lost is not closed")
	}
	_, err = s.Commit(within(t), store.Txn{Puts: []store.Put{{Key: "/r/a", Lease: lease}}})
	wantKind(t, "a put under a revoked lease", err, store.NotFound)
}
