package registry

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry/store"
	"gantry/registry/store/storetest"
)

// TestIndexesAreReplaced: odd selectors take the room for indexes only for a while, and what has no index is listed without the
// write lock.
func TestIndexesAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := store.NewFake()
		for i := range 100 {
			storetest.Put(t, s, fmt.Sprintf("/registry/pods/n/p%02d", i), storetest.Pod("n", fmt.Sprintf("p%02d", i), fmt.Sprintf(`"app":"%d","odd40":"x"`, i%10)))
		}
		r := New(Config{Store: s, Kinds: testKinds(), Log: slog.New(slog.DiscardHandler)})
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		list := func(labels string) int {
			t.Helper()
			l, err := r.List(ctx, podKind, "", ListOptions{ResourceVersion: "0", Labels: labels})
			if err != nil {
				t.Fatal(err)
			}
			return len(l.Items)
		}
		for i := range 41 {
			list(fmt.Sprintf("odd%d=x", i))
		}
		c := r.reads.caches.of(podKind)
		if _, err := r.Owned(ctx, podKind, "nobody"); err != nil {
			t.Fatal(err)
		}
		c.mu.RLock() // a list that wanted the write lock would wait for ever
		if n := list("app=3"); n != 10 {
			t.Errorf("%d of 10 pods without an index", n)
		}
		if n := list("odd40=x"); n != 100 {
			t.Errorf("%d of 100 pods without an index", n)
		}
		c.mu.RUnlock()
		if c.view.byTerm["l:app"] != nil || len(c.view.byTerm) != maxIndexes+1 {
			t.Errorf("%d indexes, that of app is there: %v", len(c.view.byTerm), c.view.byTerm["l:app"] != nil)
		}
		time.Sleep(6 * time.Second) // of the bubble's time
		list("odd7=x")
		time.Sleep(6 * time.Second)
		for range 2 { // making the index, and by it
			if n := list("app=3"); n != 10 {
				t.Errorf("%d of 10 pods", n)
			}
		}
		if c.view.byTerm["l:app"] == nil || c.view.byTerm["l:odd7"] == nil || c.view.byTerm[ownerTerm] == nil || len(c.view.byTerm) != maxIndexes+1 {
			t.Errorf("%d indexes, those in use are not all there", len(c.view.byTerm))
		}
		cancel()
		<-ended
	})
}
