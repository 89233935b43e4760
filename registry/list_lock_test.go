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

// TestListWithoutAnIndex checks that a list by a label that has no index does not take the write lock, and that the label gets an index
// when others have not been used for a while.
func TestListWithoutAnIndex(t *testing.T) {
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
		if c.view.Has("l:app") || c.view.Has("l:odd40") {
			t.Error("indexes that were used just now are replaced")
		}
		time.Sleep(6 * time.Second) // of the bubble's time
		list("odd7=x")
		time.Sleep(6 * time.Second)
		for range 2 { // making the index, and by it
			if n := list("app=3"); n != 10 {
				t.Errorf("%d of 10 pods", n)
			}
		}
		for _, term := range []string{"l:app", "l:odd7", ownerTerm} {
			if !c.view.Has(term) {
				t.Errorf("the index of %s is not there", term)
			}
		}
		cancel()
		<-ended
	})
}
