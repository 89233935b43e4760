package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry/store"
)

// TestRestoredStoreOvertakes: etcd goes back in time and is then written beyond what was seen, so that its revision tells
// nothing. One object is there again under a revision that was another's.
func TestRestoredStoreOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.NewFake()
		a := put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
		r := New(Config{Store: s, Kinds: testKinds, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		w, err := r.Watch(ctx, podKind, "", WatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		next(t, w, 1)
		put(t, s, "/registry/pods/n/b", podJSON("n", "b", ""))
		last := put(t, s, "/registry/pods/n/c", podJSON("n", "c", ""))
		next(t, w, 2)
		s.Rewind(a)
		put(t, s, "/registry/pods/n/d", podJSON("n", "d", ""))
		for range last {
			put(t, s, "/elsewhere", "x")
		}
		time.Sleep(refreshEvery + time.Second)
		synctest.Wait()
		if l, err := r.List(ctx, podKind, "", ListOptions{}); err != nil || names(l) != "a d" {
			t.Errorf("List = %s, %v, want what is there", names(l), err)
		}
		if events, err := w.Next(ctx, nil); !errors.Is(err, Expired) {
			t.Errorf("a watcher saw %v, %v, want Expired", show(events), err)
		}
		if f, err := r.Watch(ctx, podKind, "", WatchOptions{ResourceVersion: fmt.Sprint(a)}); err == nil {
			if events, err := f.Next(ctx, nil); err == nil && len(events) != 1 {
				t.Errorf("a watch over the gap saw %v", show(events))
			}
		}
		cancel()
		synctest.Wait()
	})
}
