package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// recording is a recorder on a store, with the set of pods; nothing of it runs.
func recording(s store.Store, onBad func()) (*Recorder, *Set) {
	check := func(*schema.Kind, string, *store.KV) error { return errors.New("rubbish") }
	r := NewRecorder(s, true, check, func(*schema.Kind, string, error) { onBad() })
	return r, NewSet(core.Pod, "/registry/pods/", r, slog.New(slog.DiscardHandler), false)
}

func badAt(i int, rev int64) (relKey string, kv *store.KV) {
	relKey = fmt.Sprintf("n/p%d", i)
	return relKey, &store.KV{Key: "/registry/pods/" + relKey, ModRevision: rev}
}

// queued is how many keys wait.
func (r *Recorder) queued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// records are those of pods, by key.
func records(t *testing.T, s store.Store) map[string]Record {
	t.Helper()
	kvs, _, _, err := s.List(context.Background(), "/gantry/quarantine/registry/pods/", "/gantry/quarantine/registry/pods0", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Record{}
	for _, kv := range kvs {
		var b Record
		if err := json.Unmarshal(kv.Value, &b); err != nil {
			t.Fatal(err)
		}
		out[b.Key] = b
	}
	return out
}

// TestRecorderOfManyBadValues checks that the number of keys that wait to be recorded is bounded, and that all bad values are recorded in
// the end.
func TestRecorderOfManyBadValues(t *testing.T) {
	t.Run("100000 come", func(t *testing.T) { manyBadValues(t, 100_000, false) })
	t.Run("3000 come and go", func(t *testing.T) { manyBadValues(t, 3000, true) })
}

func manyBadValues(t *testing.T, values int, leave bool) {
	synctest.Test(t, func(t *testing.T) {
		s := store.NewFake()
		var reported atomic.Int64
		r, q := recording(s, func() { reported.Add(1) })
		for i := range values {
			relKey, kv := badAt(i, int64(i+2))
			q.Put(relKey, kv, 1, errors.New("rubbish"))
		}
		bounded := func() {
			t.Helper()
			if n := r.queued(); n > maxRecords+1 {
				t.Errorf("%d keys wait", n)
			}
		}
		bounded()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(time.Minute) // of the bubble's time
		if n := len(records(t, s)); n != values || int(reported.Load()) != values {
			t.Errorf("%d values are recorded and %d reported of %d", n, reported.Load(), values)
		}
		for i := range values {
			if relKey, _ := badAt(i, 0); leave {
				q.Clear(relKey)
			}
		}
		bounded()
		time.Sleep(time.Minute)
		if n := len(records(t, s)); leave && n != 0 || int(reported.Load()) != values {
			t.Errorf("%d records are left, %d reported", n, reported.Load())
		}
		cancel()
		<-ended
	})
}

// failing is a store that fails while it is set to, and counts transactions.
type failing struct {
	*store.Fake
	fails   atomic.Bool
	commits atomic.Int64
}

func (s *failing) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	s.commits.Add(1)
	if s.fails.Load() {
		return store.TxnResult{}, &store.Error{Kind: store.Unavailable, Reason: "etcd is away"}
	}
	return s.Fake.Commit(ctx, t)
}

// TestRecorderOfAKeyThatChangesOften checks that the record of a key that changes often shows its last state, with pauses between writes,
// and that there are fewer and fewer tries while etcd is away.
func TestRecorderOfAKeyThatChangesOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failing{Fake: store.NewFake()}
		r, q := recording(s, func() {})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		rev := int64(10)
		flap := func(n int, every time.Duration) {
			for range n {
				relKey, kv := badAt(1, rev)
				q.Put(relKey, kv, rev-1, fmt.Errorf("rubbish %d", rev))
				time.Sleep(every)
				q.Clear(relKey)
				rev += 2
			}
			relKey, kv := badAt(1, rev)
			q.Put(relKey, kv, rev-1, errors.New(strings.Repeat("long ", 1000)))
		}
		flap(10_000, time.Millisecond) // 10 s
		time.Sleep(time.Second)
		if n := s.commits.Load(); n > 210 {
			t.Errorf("%d writes in 11 s", n)
		}
		isLast := func() {
			t.Helper()
			b := records(t, s)["/registry/pods/n/p1"]
			if b.Revision != rev || b.LastGood != rev-1 || len(b.Error) > maxErrorText+3 || !strings.HasPrefix(b.Error, "long long") {
				t.Errorf("the record is %+v, want that of revision %d", b, rev)
			}
		}
		isLast()
		s.fails.Store(true)
		s.commits.Store(0)
		flap(1000, time.Second) // a quarter of an hour
		if n := s.commits.Load(); n > 100 {
			t.Errorf("%d tries in 1000 s while etcd was away", n)
		}
		if n := r.queued(); n > 1 {
			t.Errorf("one key waits %d times", n)
		}
		s.fails.Store(false)
		time.Sleep(lastRecord + time.Second)
		isLast()
		cancel()
		<-ended
	})
}
