package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry/bynode"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/core"
)

// TestSlowFollowerBlocksNothing checks that for a follower that is behind the difference is kept, and not every change.
func TestSlowFollowerBlocksNothing(t *testing.T) {
	const ringLimit, pods, changes = 50, 20, 5000
	s := store.NewFake()
	for i := range pods {
		storetest.Put(t, s, fmt.Sprintf("/registry/pods/n/p%d", i), storetest.Pod("n", fmt.Sprintf("p%d", i), ""))
	}
	r := testRegistry(t, s)
	c := r.reads.caches.of(podKind)
	c.ring.limit = ringLimit
	ctx, cancel := context.WithCancel(testContext(t))
	fol := &follower{t: t, state: map[string]int64{}}
	reported, stuck, release, ended := 0, make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Follow(ctx, podKind, func(ch Change) {
			if reported++; reported == 1 {
				close(stuck)
				<-release
			}
			fol.change(ch)
		})
	}()
	<-stuck
	var rev int64
	for i := range changes {
		switch name, key := fmt.Sprintf("p%d", i%pods), fmt.Sprintf("/registry/pods/n/p%d", i%pods); {
		case i%7 == 0:
			rev = storetest.Delete(t, s, key)
		case i%11 == 0: // comes and goes
			storetest.Put(t, s, key+"x", storetest.Pod("n", name+"x", ""))
			rev = storetest.Delete(t, s, key+"x")
		default:
			rev = storetest.Put(t, s, key, storetest.Pod("n", name, fmt.Sprintf(`"i":"%d"`, i)))
		}
	}
	again := strings.Replace(storetest.Pod("n", "p1", ""), "u-p1", "another", 1)
	rev = max(rev, storetest.Put(t, s, "/registry/pods/n/p1", again))
	if err := r.Observed(ctx, podKind, rev); err != nil {
		t.Fatal(err)
	}
	c.mu.RLock()
	kept := len(c.ring.entries)
	for at := range c.ring.cursors {
		kept += len(at.missed)
	}
	c.mu.RUnlock()
	if kept > ringLimit+pods+1 {
		t.Errorf("%d changes are kept for a follower that stands still, there are %d pods", kept, pods)
	}
	close(release)
	state := (&world{t: t, s: s}).state()
	for !fol.is(state) && ctx.Err() == nil {
		runtime.Gosched()
	}
	cancel()
	<-ended
	if !fol.is(state) {
		t.Errorf("the follower's state is %v, want %v", fol.state, state)
	}
	if most := pods + 2*pods + ringLimit; reported > most {
		t.Errorf("%d changes were reported, want at most %d", reported, most)
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
		rev = storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", fmt.Sprintf(`"i":"%d"`, i)))
	}
	if err := r.Observed(testContext(t), podKind, rev); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(testContext(t), nil); !errors.Is(err, Expired) {
		t.Errorf("error %v, want Expired", err)
	}
}

// stoppedCommits is a store whose transactions wait.
type stoppedCommits struct {
	*store.Fake
	asked   chan struct{}
	release chan struct{}
}

func (s stoppedCommits) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	select {
	case <-s.release:
	case <-ctx.Done():
	}
	return s.Fake.Commit(ctx, t)
}

// TestRepairBlocksNoWatch checks that the repair of copies reads its watches while it waits for etcd.
func TestRepairBlocksNoWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		etcd := stoppedCommits{store.NewFake(), make(chan struct{}, 1), make(chan struct{})}
		r := New(Config{Store: etcd, Kinds: schema.NewKinds(schema.NewSet(podKind, nodeKind, core.PersistentVolume)), Log: slog.New(slog.DiscardHandler)})
		ended := make(chan error, 2)
		go func() { ended <- r.Run(ctx) }()
		go func() { ended <- r.RepairByNode(ctx, bynode.NewCopies(), bynode.Observer{}, nil) }()
		bound := strings.Replace(storetest.Pod("n", "p", ""), `"spec":{`, `"spec":{"nodeName":"n1",`, 1)
		storetest.Put(t, etcd.Fake, "/registry/pods/n/p", bound)
		<-etcd.asked // to write the copy
		for range 3000 {
			storetest.Put(t, etcd.Fake, "/registry/pods/n/p", bound)
			storetest.Put(t, etcd.Fake, "/gantry/bynode/n2/pods/n/p", bound)
		}
		synctest.Wait()
		c := r.reads.caches.of(podKind)
		c.mu.RLock()
		for at := range c.ring.cursors {
			if behind := c.ring.end() - at.pos; behind > 0 {
				t.Errorf("the repairer is %d changes behind", behind)
			}
		}
		c.mu.RUnlock()
		close(etcd.release)
		time.Sleep(5 * time.Second) // of the bubble's time
		synctest.Wait()
		kvs, _, _, err := etcd.List(ctx, "/gantry/bynode/", "/gantry/bynode0", 0, 0)
		if err != nil || len(kvs) != 1 || kvs[0].Key != "/gantry/bynode/n1/pods/n/p" {
			t.Errorf("copies %v, %v", kvs, err)
		}
		cancel()
		<-ended
		<-ended
	})
}
