package apitest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// TestRestoredStoreOvertakes restores etcd to an earlier state and then writes until its revision is higher than before, so that the
// revision does not show the restore. One object then has a revision that another object had before.
func TestRestoredStoreOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.NewFake()
		a := storetest.Put(t, s, "/registry/pods/n/a", storetest.Pod("n", "a", ""))
		r := registry.New(registry.Config{Store: s, Kinds: kinds.New(), Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		w, err := r.Watch(ctx, core.Pod, "", registry.WatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		registrytest.Next(t, w, 1)
		storetest.Put(t, s, "/registry/pods/n/b", storetest.Pod("n", "b", ""))
		last := storetest.Put(t, s, "/registry/pods/n/c", storetest.Pod("n", "c", ""))
		registrytest.Next(t, w, 2)
		s.Rewind(a)
		storetest.Put(t, s, "/registry/pods/n/d", storetest.Pod("n", "d", ""))
		for range last {
			storetest.Put(t, s, "/elsewhere", "x")
		}
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if l, err := r.List(ctx, core.Pod, "", registry.ListOptions{}); err != nil || registrytest.Names(l) != "a d" {
			t.Errorf("List = %s, %v, want what is there", registrytest.Names(l), err)
		}
		if events, err := w.Next(ctx, nil); !errors.Is(err, registry.Expired) {
			t.Errorf("a watcher saw %v, %v, want Expired", registrytest.Show(events), err)
		}
		if f, err := r.Watch(ctx, core.Pod, "", registry.WatchOptions{ResourceVersion: fmt.Sprint(a)}); err == nil {
			if events, err := f.Next(ctx, nil); err == nil && len(events) != 1 {
				t.Errorf("a watch over the gap saw %v", registrytest.Show(events))
			}
		}
		cancel()
		synctest.Wait()
	})
}
