package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
)

// counted is a store that counts the watches of history that were opened, those open at a time, and what progress was asked for.
type counted struct {
	store.Store
	watches, progress, open, most atomic.Int64
}

func (s *counted) Watch(ctx context.Context, start, end string, from int64, prev bool) <-chan store.WatchBatch {
	in := s.Store.Watch(ctx, start, end, from, prev)
	if !prev {
		return in
	}
	s.watches.Add(1)
	s.most.Store(max(s.most.Load(), s.open.Add(1)))
	out := make(chan store.WatchBatch)
	go func() {
		defer close(out)
		defer s.open.Add(-1)
		for b := range in {
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

func (s *counted) Progress(ctx context.Context, start string) error {
	s.progress.Add(1)
	return s.Store.Progress(ctx, start)
}

// pastChanges makes history: n changes of 50 pods, with deletions and other keys between. It returns the revisions of pods' changes.
func pastChanges(t *testing.T, s store.Store, n int) (revs []int64) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("p%d", i%50)
		key := "/registry/pods/n/" + name
		switch kv, _, err := s.Get(testContext(t), key, 0); {
		case err != nil:
			t.Fatal(err)
		case kv != nil && i%7 == 0:
			revs = append(revs, storetest.Delete(t, s, key))
		default:
			revs = append(revs, storetest.Put(t, s, key, storetest.Pod("n", name, fmt.Sprintf(`"i":"%d"`, i))))
		}
		if i%5 == 0 {
			storetest.Put(t, s, "/registry/minions/x", "{}")
		}
	}
	return revs
}

// storesOfHistory are the stores that a test of history runs on.
func storesOfHistory(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Run("fake", func(t *testing.T) { f(t, store.NewFake()) })
	t.Run("etcd", func(t *testing.T) {
		e := embeddedtest.Open(t)
		f(t, store.NewEtcd(e.Client(), e.Client()))
	})
}

// resume reads what a watcher after rev sees until it has as many events as want.
func resume(t *testing.T, r *Registry, rev int64, want []int64) error {
	ctx := testContext(t)
	w, err := r.Watch(ctx, podKind, "", WatchOptions{ResourceVersion: fmt.Sprint(rev)})
	if err != nil {
		return err
	}
	var got []int64
	var events []Event
	for len(got) < len(want) {
		if events, err = w.Next(ctx, events[:0]); err != nil {
			return fmt.Errorf("after %d of %d events: %w", len(got), len(want), err)
		}
		for _, e := range events {
			got = append(got, e.Revision)
		}
	}
	if !slices.Equal(got, want) {
		return errors.New(cmp.Diff(want, got))
	}
	return nil
}

// TestThousandResumingWatchers resumes many watchers, each at another revision, as after a restart of a gateway.
func TestThousandResumingWatchers(t *testing.T) {
	storesOfHistory(t, func(t *testing.T, inner store.Store) {
		const watchers = 1000
		s := &counted{Store: inner}
		revs := pastChanges(t, inner, 1500)
		r := testRegistry(t, s)
		var wg sync.WaitGroup
		for i := range watchers {
			at := 1 + (i*613)%watchers // in any order
			wg.Go(func() {
				if err := resume(t, r, revs[at-1], revs[at:]); err != nil {
					t.Errorf("a watcher after revision %d: %v", revs[at-1], err)
				}
			})
		}
		wg.Wait()
		t.Logf("%d watches of history, %d at a time, progress asked for %d times", s.watches.Load(), s.most.Load(), s.progress.Load())
		if s.watches.Load() > watchers/20 || s.most.Load() > 1 || s.progress.Load() > watchers {
			t.Errorf("%d watches of history, %d at a time, progress asked for %d times: not shared by %d watchers",
				s.watches.Load(), s.most.Load(), s.progress.Load(), watchers)
		}
	})
}

// TestBackfillIsBounded checks that watchers that resume far in the past see every change, and that the entries kept stay within the limit.
func TestBackfillIsBounded(t *testing.T) {
	storesOfHistory(t, func(t *testing.T, inner store.Store) {
		s := &counted{Store: inner}
		revs := pastChanges(t, inner, 3000)
		r := testRegistry(t, s)
		b := r.reads.caches.of(podKind).backfill
		b.limit = 300
		var wg sync.WaitGroup
		for _, at := range []int{1, 2, 700, 1500, 1501, 2900} {
			wg.Go(func() {
				if err := resume(t, r, revs[at-1], revs[at:]); err != nil {
					t.Errorf("a watcher after revision %d: %v", revs[at-1], err)
				}
			})
		}
		wg.Wait()
		b.mu.RLock()
		defer b.mu.RUnlock()
		// A batch of etcd's is a thousand revisions at most.
		if len(b.entries) > b.limit+1000+watchBatch {
			t.Errorf("%d entries are kept of %d, with a limit of %d", len(b.entries), len(revs), b.limit)
		}
		size := 0
		for _, e := range b.entries {
			size += e.pastSize()
		}
		if size != b.bytes {
			t.Errorf("entries take %d bytes, counted are %d", size, b.bytes)
		}
		t.Logf("%d watches of history, %d entries kept", s.watches.Load(), len(b.entries))
	})
}

// TestResumingInCompactedHistory checks that watchers that resume before etcd's oldest revision get Expired, and that this takes few reads
// of etcd.
func TestResumingInCompactedHistory(t *testing.T) {
	s := &counted{Store: store.NewFake()}
	revs := pastChanges(t, s, 400)
	s.Store.(*store.Fake).Compact(revs[300])
	r := testRegistry(t, s)
	var wg sync.WaitGroup
	for at := 1; at < 350; at++ {
		wg.Go(func() {
			err := resume(t, r, revs[at-1], revs[at:])
			if old := revs[at-1]+1 < revs[300]; old != errors.Is(err, Expired) || !old && err != nil {
				t.Errorf("a watcher after revision %d, compacted at %d: %v", revs[at-1], revs[300], err)
			}
			if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("too old resource version: %d (", revs[at-1])) {
				t.Errorf("a watcher after revision %d: %v", revs[at-1], err)
			}
		})
	}
	wg.Wait()
	if n := s.watches.Load(); n > 50 {
		t.Errorf("%d watches of history", n)
	}
}

// TestResumingOutlivesLostWatches checks that watchers see every change although etcd's connection is lost while history is read.
func TestResumingOutlivesLostWatches(t *testing.T) {
	s := &interceptedStore{Store: store.NewFake(), cuts: map[int]context.CancelFunc{}}
	revs := pastChanges(t, s, 2000)
	r := testRegistry(t, s)
	over := make(chan struct{})
	var wg sync.WaitGroup
	for _, at := range []int{1, 500, 900} {
		wg.Go(func() {
			if err := resume(t, r, revs[at-1], revs[at:]); err != nil {
				t.Errorf("a watcher after revision %d: %v", revs[at-1], err)
			}
		})
	}
	go func() { wg.Wait(); close(over) }()
	for i := 0; !closed(over); i++ {
		if i < 20 {
			s.cut()
		}
		waitNews(r.reads.caches.of(podKind).backfill, over)
	}
}

// waitNews waits until there is news of a backfill, or over.
func waitNews(b *backfill, over <-chan struct{}) {
	b.mu.RLock()
	news := b.changed
	b.mu.RUnlock()
	select {
	case <-news:
	case <-over:
	}
}
