package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gantry/registry/store"
)

// text is an event in one line: "put a=1@5 (was 0)".
func text(e store.Event) string {
	was := ""
	if e.Prev != nil {
		was = fmt.Sprintf(" was %s@%d", e.Prev.Value, e.Prev.ModRevision)
	}
	if e.Delete {
		return fmt.Sprintf("delete %s@%d%s", e.KV.Key, e.KV.ModRevision, was)
	}
	return fmt.Sprintf("put %s=%s@%d%s", e.KV.Key, e.KV.Value, e.KV.ModRevision, was)
}

// collect reads n events.
func collect(t *testing.T, batches <-chan store.WatchBatch, n int) []string {
	t.Helper()
	var out []string
	for len(out) < n {
		b, more := <-batches
		if !more || b.Err != nil {
			t.Fatalf("the watch ended after %v: %v", out, b.Err)
		}
		for _, e := range b.Events {
			out = append(out, text(e))
		}
		if n := len(b.Events); n > 0 && b.Revision != b.Events[n-1].KV.ModRevision {
			t.Errorf("a batch up to %d says it is at %d", b.Events[n-1].KV.ModRevision, b.Revision)
		}
	}
	return out
}

func testWatch(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	Put(t, s, "/q/other", "x")
	live := s.Watch(within(t), "/r/", "/r0", a+1, true)
	Put(t, s, "/r/a", "2")
	Put(t, s, "/r0", "beyond the range")
	Put(t, s, "/r/b", "3")
	d := Delete(t, s, "/r/a")
	Put(t, s, "/r/a", "4")
	want := []string{
		fmt.Sprintf("put /r/a=2@%d was 1@%d", a+2, a),
		fmt.Sprintf("put /r/b=3@%d", a+4),
		fmt.Sprintf("delete /r/a@%d was 2@%d", d, a+2),
		fmt.Sprintf("put /r/a=4@%d", d+1),
	}
	same(t, "live", collect(t, live, 4), want)
	same(t, "from history", collect(t, s.Watch(within(t), "/r/", "/r0", a+1, true), 4), want)
	same(t, "from the middle", collect(t, s.Watch(within(t), "/r/", "/r0", a+3, true), 3), want[1:])
	same(t, "from the first", collect(t, s.Watch(within(t), "/r/", "/r0", a, true), 1)[:1], []string{fmt.Sprintf("put /r/a=1@%d", a)})
}

func testWatchFuture(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	w := s.Watch(within(t), "/r/", "/r0", a+3, true)
	Put(t, s, "/r/a", "2")
	Put(t, s, "/r/a", "3")
	Put(t, s, "/r/a", "4")
	same(t, "events", collect(t, w, 1), []string{fmt.Sprintf("put /r/a=4@%d was 3@%d", a+3, a+2)})
}

func testWatchAtCompaction(t *testing.T, s Env) {
	Put(t, s, "/r/a", "1")
	b := Put(t, s, "/r/b", "2")
	Put(t, s, "/r/c", "3")
	s.Compact(b)
	got := collect(t, s.Watch(within(t), "/r/", "/r0", b, true), 2)
	same(t, "events", got, []string{fmt.Sprintf("put /r/b=2@%d", b), fmt.Sprintf("put /r/c=3@%d", b+1)})
	same(t, "events after", collect(t, s.Watch(within(t), "/r/", "/r0", b+1, true), 1), []string{fmt.Sprintf("put /r/c=3@%d", b+1)})
}

// wholeKeys fits etcd's limit of operations in a transaction.
const wholeKeys = 100

func testWatchWhole(t *testing.T, s Env) {
	start, err := s.Revision(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		var txn store.Txn
		for i := range wholeKeys {
			txn.Puts = append(txn.Puts, store.Put{Key: fmt.Sprintf("/r/%d", i), Value: make([]byte, 2000)})
		}
		commit(t, s, txn)
	}
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	seen := map[int64]int{}
	total := 0
	for b := range s.Watch(ctx, "/r/", "/r0", start+1, true) {
		if b.Err != nil {
			t.Fatal(b.Err)
		}
		here := map[int64]int{}
		for _, e := range b.Events {
			here[e.KV.ModRevision]++
		}
		for rev, n := range here {
			if seen[rev] += n; n != wholeKeys || seen[rev] != wholeKeys {
				t.Fatalf("a batch holds %d of the %d events of revision %d", n, wholeKeys, rev)
			}
		}
		if total += len(b.Events); total == 12*wholeKeys {
			cancel()
		}
	}
	if total != 12*wholeKeys {
		t.Errorf("%d events", total)
	}
}

// progressTo asks for progress until a watch says it is at rev.
func progressTo(t *testing.T, s Env, start string, batches <-chan store.WatchBatch, rev int64) {
	t.Helper()
	ctx := within(t)
	if err := s.Progress(ctx, start); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case b, more := <-batches:
			if !more || b.Err != nil || len(b.Events) > 0 {
				t.Fatalf("batch %+v, want progress to %d", b, rev)
			}
			if b.Revision == rev {
				return
			}
		case <-ctx.Done():
			t.Fatalf("no progress to %d", rev)
		}
	}
}

func testProgress(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	w := s.Watch(within(t), "/r/", "/r0", a, true)
	collect(t, w, 1)
	rev := Put(t, s, "/q/other", "x")
	progressTo(t, s, "/r/", w, rev)
	rev = Put(t, s, "/q/other", "y")
	progressTo(t, s, "/r/", w, rev)
}

// testProgressOfMany: a watch that has caught up, just opened at the newest revision, does not wait for others and
// does not delay them.
func testProgressOfMany(t *testing.T, s Env) {
	a := Put(t, s, "/r/a", "1")
	first := s.Watch(within(t), "/r/", "/r0", a, true)
	collect(t, first, 1)
	b := Put(t, s, "/s/b", "2")
	second := s.Watch(within(t), "/s/", "/s0", b, true)
	collect(t, second, 1)
	quiet := s.Watch(within(t), "/t/", "/t0", b+1, true)
	progressTo(t, s, "/r/", first, b)
	ctx := within(t)
	for again := time.NewTicker(wait / 100); ; {
		if err := s.Progress(ctx, "/t/"); err != nil {
			t.Fatal(err)
		}
		select {
		case p, more := <-quiet:
			if !more || p.Err != nil || len(p.Events) > 0 || p.Revision != b {
				t.Fatalf("batch %+v, want progress to %d", p, b)
			}
			return
		case <-again.C: // a watch that is not open yet could not answer
		case <-ctx.Done():
			t.Fatal("no progress")
		}
	}
}
