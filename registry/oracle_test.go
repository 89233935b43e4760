package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
)

// interceptedStore is a Store whose watches can be cut.
type interceptedStore struct {
	store.Store
	mu   sync.Mutex
	cuts map[int]context.CancelFunc
	next int
}

func (f *interceptedStore) Watch(ctx context.Context, start, end string, from int64, prev bool) <-chan store.WatchBatch {
	ctx, cancel := context.WithCancel(ctx)
	f.mu.Lock()
	f.next++
	id := f.next
	f.cuts[id] = cancel
	f.mu.Unlock()
	inner := f.Store.Watch(ctx, start, end, from, prev)
	out := make(chan store.WatchBatch)
	go func() {
		defer close(out)
		defer cancel()
		for b := range inner {
			select {
			case out <- b:
			case <-ctx.Done(): // ends here: what comes after b must not be passed on without it
				for range inner {
				}
				return
			}
		}
	}()
	return out
}

func (f *interceptedStore) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, cancel := range f.cuts {
		cancel()
		delete(f.cuts, id)
	}
}

// world writes at random and knows what every watcher must have seen.
type world struct {
	t   *testing.T
	s   store.Store
	rnd *rand.Rand

	compacted int64
	history   []store.Event // of pods, in order
}

// step makes one change, or tries to.
func (w *world) step(i int) {
	name := fmt.Sprintf("p%d", w.rnd.Intn(8))
	ns := []string{"a", "b"}[w.rnd.Intn(2)]
	key := "/registry/pods/" + ns + "/" + name
	kv, _, err := w.s.Get(context.Background(), key, 0)
	if err != nil {
		w.t.Error(err)
		return
	}
	txn := store.Txn{Puts: []store.Put{{Key: key, Value: []byte(storetest.Pod(ns, name, fmt.Sprintf(`"app":"%s","n":"%d"`, []string{"web", "db"}[w.rnd.Intn(2)], i)))}}}
	switch n := w.rnd.Intn(10); {
	case n < 3:
		txn = store.Txn{Deletes: []string{key}}
	case n == 3:
		txn.Puts[0].Value = []byte(`{"rubbish":`)
	case n == 4: // something else, so that revisions are not dense
		txn = store.Txn{Puts: []store.Put{{Key: "/registry/minions/n", Value: []byte("{}")}}}
	}
	res, err := w.s.Commit(context.Background(), txn)
	if err != nil {
		w.t.Error(err)
		return
	}
	switch {
	case len(txn.Deletes) > 0 && kv != nil:
		w.history = append(w.history, store.Event{KV: &store.KV{Key: key, ModRevision: res.Revision}, Delete: true})
	case len(txn.Puts) > 0 && txn.Puts[0].Key == key:
		w.history = append(w.history, store.Event{KV: &store.KV{Key: key, Value: txn.Puts[0].Value, ModRevision: res.Revision}})
	}
}

// want is what a watcher with a label and a namespace must see after rev up to end.
func (w *world) want(namespace, app string, rev, end int64) []string {
	var out []string
	present := map[string]bool{}
	for _, e := range w.history {
		relKey := strings.TrimPrefix(e.KV.Key, "/registry/pods/")
		ns, name, _ := strings.Cut(relKey, "/")
		is := !e.Delete && !strings.Contains(string(e.KV.Value), "rubbish") &&
			(namespace == "" || ns == namespace) && (app == "" || strings.Contains(string(e.KV.Value), `"app":"`+app+`"`))
		was := present[relKey]
		present[relKey] = is
		typ := Modified
		switch {
		case is && !was:
			typ = Added
		case was && !is:
			typ = Deleted
		case !is:
			continue
		}
		if e.KV.ModRevision > rev && e.KV.ModRevision <= end {
			out = append(out, fmt.Sprintf("%s %s/%s %d", typ, ns, name, e.KV.ModRevision))
		}
	}
	return out
}

// spectator reads what a watcher sees after rev, as a client does: it comes back with the last revision when its
// connection ends; it lists again, and notes where, when its position is gone.
type spectator struct {
	namespace, app string
	rnd            *rand.Rand
	start, rev     int64
	got            []string
	gaps           [][2]int64
}

// run reads until over is closed and nothing more comes.
func (sp *spectator) run(ctx context.Context, r *Registry, over <-chan struct{}) error {
	labels := ""
	if sp.app != "" {
		labels = "app=" + sp.app
	}
	for {
		w, err := r.Watch(ctx, podKind, sp.namespace, WatchOptions{ResourceVersion: fmt.Sprint(sp.rev), Labels: labels, Bookmarks: true})
		if err != nil {
			return err
		}
		for n := sp.rnd.Intn(40) + 1; n > 0; n-- {
			last := closed(over)
			nctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			events, err := w.Next(nctx, nil)
			cancel()
			switch {
			case errors.Is(err, Expired):
				l, err := r.List(ctx, podKind, sp.namespace, ListOptions{})
				if err != nil {
					return err
				}
				sp.gaps, sp.rev, n = append(sp.gaps, [2]int64{sp.rev, l.Revision}), l.Revision, 0
			case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
				if last && len(events) == 0 && w.pos >= 0 {
					return nil
				}
			case err != nil:
				return err
			}
			if err := sp.see(events); err != nil {
				return err
			}
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (sp *spectator) see(events []Event) error {
	for _, e := range events {
		if sp.rev = e.Revision; e.Item == nil {
			continue
		}
		sp.got = append(sp.got, fmt.Sprintf("%s %s/%s %d", e.Type, e.Item.Namespace, e.Item.Name, e.Revision))
		if want := fmt.Sprintf(`"resourceVersion":"%d"`, e.Revision); !strings.Contains(string(e.Item.JSON), want) {
			return fmt.Errorf("the event at %d holds %s", e.Revision, e.Item.JSON)
		}
	}
	return nil
}

// follower keeps the state as Follow tells it.
type follower struct {
	t     *testing.T
	mu    sync.Mutex
	state map[string]int64
}

func (f *follower) change(c Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := c.New
	if it == nil {
		it = c.Old
	}
	have, there := f.state[it.relKey]
	if (c.Old != nil) != there || c.Old != nil && have != c.Old.Revision {
		f.t.Errorf("Follow: old %v but %s is at %d", c.Old, it.relKey, have)
	}
	if delete(f.state, it.relKey); c.New != nil {
		f.state[it.relKey] = c.New.Revision
	}
}

func (f *follower) is(want map[string]int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return cmp.Equal(f.state, want)
}

func TestWatchersSeeHistory(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		f := store.NewFake()
		oracle(t, f, f.Compact, 3000)
	})
	t.Run("etcd", func(t *testing.T) {
		e := embeddedtest.Open(t)
		oracle(t, store.NewEtcd(e.Client(), e.Client()), func(rev int64) {
			if _, err := e.Client().Compact(context.Background(), rev); err != nil {
				t.Error(err)
			}
		}, 1500)
	})
}

// oracle compares what watchers and followers saw with the history of the store, under random writes, deletions,
// rubbish, compactions and cut watches.
func oracle(t *testing.T, inner store.Store, compact func(int64), steps int) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	s := &interceptedStore{Store: inner, cuts: map[int]context.CancelFunc{}}
	w := &world{t: t, s: inner, rnd: rand.New(rand.NewSource(seed))}
	r := testRegistry(t, s)
	r.reads.caches.of(podKind).ring.limit = 300 // so that what is older is read from the store
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	first, err := r.List(ctx, podKind, "", ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fol := &follower{t: t, state: map[string]int64{}}
	over := make(chan struct{})
	var wg sync.WaitGroup
	fctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { _ = r.Follow(fctx, podKind, fol.change) })
	var spectators []*spectator
	for i, v := range [][2]string{{"", ""}, {"a", ""}, {"", "web"}, {"b", "db"}, {"", ""}, {"", "db"}} {
		sp := &spectator{namespace: v[0], app: v[1], rnd: rand.New(rand.NewSource(seed + int64(i))), start: first.Revision, rev: first.Revision}
		spectators = append(spectators, sp)
		late := i > 3 // these begin when all is over, from history where there is any
		wg.Go(func() {
			if late {
				<-over
				sp.rev = max(w.compacted, first.Revision, sp.rev)
				sp.start = sp.rev
			}
			if err := sp.run(ctx, r, over); err != nil {
				t.Errorf("watcher %d: %v", i, err)
			}
		})
	}
	w.disturb(s, steps, compact, func(rev int64) {
		if err := r.Observed(ctx, podKind, rev); err != nil {
			t.Error(err)
		}
	})
	rev, err := inner.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Observed(ctx, podKind, rev); err != nil {
		t.Fatal(err)
	}
	close(over)
	state := w.state()
	for !fol.is(state) && ctx.Err() == nil {
		runtime.Gosched()
	}
	stop()
	wg.Wait()
	if d := cmp.Diff(state, fol.state); d != "" {
		t.Errorf("Follow's state (-want +got):\n%s", d)
	}
	for i, sp := range spectators {
		want := w.want(sp.namespace, sp.app, sp.start, rev)
		for _, g := range sp.gaps {
			want = without(want, g)
		}
		if d := cmp.Diff(want, sp.got); d != "" {
			t.Errorf("watcher %d of %q %q, gaps %v (-want +got):\n%s", i, sp.namespace, sp.app, sp.gaps, d)
		}
		t.Logf("watcher %d saw %d of %d events, gaps %v", i, len(sp.got), len(w.history), sp.gaps)
	}
}

// disturb writes, cuts and compacts.
func (w *world) disturb(s *interceptedStore, steps int, compact, observed func(int64)) {
	now := func() int64 {
		rev, err := w.s.Revision(context.Background())
		if err != nil {
			w.t.Error(err)
		}
		return rev
	}
	for i := range steps {
		w.step(i)
		if i%20 == 0 {
			observed(now())
		}
		switch n := w.rnd.Intn(1000); {
		case n < 10:
			s.cut()
		case n < 13:
			if to := now() - int64(100+w.rnd.Intn(300)); to > w.compacted {
				w.compacted = to
				compact(to)
			}
		case n == 13: // without a watch
			s.cut()
			for range 10 {
				w.step(i)
			}
			w.compacted = now()
			compact(w.compacted)
		}
	}
}

// state is what can be read in the store.
func (w *world) state() map[string]int64 {
	out := map[string]int64{}
	kvs, _, _, err := w.s.List(context.Background(), "/registry/pods/", "/registry/pods0", 0, 0)
	if err != nil {
		w.t.Error(err)
	}
	for _, kv := range kvs {
		if !strings.Contains(string(kv.Value), "rubbish") {
			out[strings.TrimPrefix(kv.Key, "/registry/pods/")] = kv.ModRevision
		}
	}
	return out
}

// without leaves out what a watcher that got Expired at g[0] and listed at g[1] cannot have seen.
func without(lines []string, g [2]int64) []string {
	var out []string
	for _, l := range lines {
		var typ, key string
		var rev int64
		fmt.Sscan(l, &typ, &key, &rev)
		if rev <= g[0] || rev > g[1] {
			out = append(out, l)
		}
	}
	return out
}
