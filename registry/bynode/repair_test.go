package bynode_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
)

func boundPod(t *testing.T, r *registry.Registry, name, node string) {
	t.Helper()
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.Pod, registrytest.Pod(name), registry.WriteOptions{}))
	registrytest.Must(t)(registrytest.Bind(ctx, r, name, node, registry.WriteOptions{}))
}

// repairByNode is the loop, observed by o.
func repairByNode(o bynode.Observer) func(*registry.Registry, context.Context) error {
	return func(r *registry.Registry, ctx context.Context) error {
		return r.RepairByNode(ctx, bynode.NewCopies(), o, nil)
	}
}

func TestRepairByNode(t *testing.T) {
	repair := repairByNode(bynode.Observer{})
	copyKey := func(node string) string { return "/gantry/bynode/" + node + "/pods/default/p" }
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, etcd *store.Fake, value string)
		want  string // the node of the only copy; "": none
	}{
		{"a pod changed by hand", func(t *testing.T, s *store.Fake, v string) {
			storetest.Put(t, s, podKey, strings.Replace(v, `"image":"i"`, `"image":"j"`, 1))
		}, "n1"},
		{"a pod moved by hand", func(t *testing.T, s *store.Fake, v string) {
			storetest.Put(t, s, podKey, strings.ReplaceAll(v, `"nodeName":"n1"`, `"nodeName":"n2"`))
		}, "n2"},
		{"a pod deleted by hand", func(t *testing.T, s *store.Fake, v string) {
			if _, err := s.Commit(registrytest.Context(t), store.Txn{Deletes: []string{podKey}}); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"a copy changed by hand", func(t *testing.T, s *store.Fake, v string) { storetest.Put(t, s, copyKey("n1"), "rubbish") }, "n1"},
		{"a copy deleted by hand", func(t *testing.T, s *store.Fake, v string) {
			if _, err := s.Commit(registrytest.Context(t), store.Txn{Deletes: []string{copyKey("n1")}}); err != nil {
				t.Fatal(err)
			}
		}, "n1"},
		{"a copy too many", func(t *testing.T, s *store.Fake, v string) { storetest.Put(t, s, copyKey("n3"), v) }, "n1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			registrytest.WithRepair(t, repair, func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
				boundPod(t, r, "p", "n1")
				value, _ := storetest.Value(t, etcd, podKey)
				c.spoil(t, etcd, value)
				time.Sleep(5 * time.Second) // of the bubble's time
				synctest.Wait()
				value, rev := storetest.Value(t, etcd, podKey)
				copies := storetest.Keys(t, etcd, "/gantry/bynode/")
				if c.want == "" {
					if len(copies) != 0 {
						t.Errorf("copies %v", copies)
					}
					return
				}
				got, copied := storetest.Value(t, etcd, copyKey(c.want))
				if len(copies) != 1 || got != value || copied != rev {
					t.Errorf("copies %v; the pod at %d, its copy at %d", copies, rev, copied)
				}
			})
		})
	}
}

func TestRepairLeavesGoodCopiesAlone(t *testing.T) {
	registrytest.WithRepair(t, repairByNode(bynode.Observer{}), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
		boundPod(t, r, "p", "n1")
		_, rev := storetest.Value(t, etcd, podKey)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, now := storetest.Value(t, etcd, podKey); now != rev {
			t.Errorf("the pod was written again at %d, was at %d", now, rev)
		}
		storetest.Put(t, etcd, podKey, "rubbish")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if copies := storetest.Keys(t, etcd, "/gantry/bynode/"); len(copies) != 1 {
			t.Errorf("copies %v of a pod that cannot be read just now", copies)
		}
	})
}

// vanish makes n pods of node n1 and deletes the first of them past the API.
func vanish(t *testing.T, r *registry.Registry, etcd *store.Fake, n, first int) (keys []string) {
	t.Helper()
	for i := range n {
		boundPod(t, r, fmt.Sprintf("p%02d", i), "n1")
	}
	for i := range first {
		keys = append(keys, fmt.Sprintf("/registry/pods/default/p%02d", i))
	}
	if _, err := etcd.Commit(registrytest.Context(t), store.Txn{Deletes: keys}); err != nil {
		t.Fatal(err)
	}
	return keys
}

// wait lets d of the bubble's time pass.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestVanishedPodsAreHeldAndGivenUpInTime(t *testing.T) {
	var reports, held atomic.Int64
	o := bynode.Observer{
		Report: func(h bynode.Hold, pods int, missed []string) {
			if n := reports.Add(1); pods != 20 || (n == 1) != (len(missed) == 20) {
				t.Errorf("report %d: %d pods, %d missed", n, pods, len(missed))
			}
		},
		Held: func(pods int) { held.Store(int64(pods)) },
	}
	registrytest.WithRepair(t, repairByNode(o), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
		vanish(t, r, etcd, 20, 20)
		wait(bynode.HoldTime - time.Second)
		if copies := storetest.Keys(t, etcd, "/gantry/bynode/"); len(copies) != 20 || held.Load() != 20 {
			t.Errorf("%d copies are left of 20, %d pods are held", len(copies), held.Load())
		}
		if n := reports.Load(); n != 10 {
			t.Errorf("reported %d times, want once a minute", n)
		}
		value, _ := storetest.Value(t, etcd, bynode.HoldKey)
		if h, err := bynode.ReadHold([]byte(value)); err != nil || len(h.Pods) != 20 || h.Pods[3] != "default/p03" || h.Until.Sub(h.Since) != bynode.HoldTime || h.Revision == 0 {
			t.Errorf("record %s, %v", value, err)
		}
		wait(5 * time.Second)
		if left := append(storetest.Keys(t, etcd, "/gantry/bynode/"), storetest.Keys(t, etcd, "/gantry/vanished")...); len(left) != 0 || held.Load() != 0 {
			t.Errorf("after the time of the hold %v are left, %d pods are held", left, held.Load())
		}
	})
}

func TestVanishedPodsAreGivenUpByConfirmation(t *testing.T) {
	var confirmed atomic.Int64
	o := bynode.Observer{GiveUp: func() string { return fmt.Sprint(confirmed.Load()) }}
	registrytest.WithRepair(t, repairByNode(o), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
		vanish(t, r, etcd, 20, 20)
		wait(3 * time.Second)
		value, _ := storetest.Value(t, etcd, bynode.HoldKey)
		h, err := bynode.ReadHold([]byte(value))
		if err != nil {
			t.Fatalf("record %q: %v", value, err)
		}
		confirmed.Store(h.Revision - 1) // another hold
		wait(3 * time.Second)
		if copies := storetest.Keys(t, etcd, "/gantry/bynode/"); len(copies) != 20 {
			t.Errorf("%d copies are left of 20 after a confirmation of another hold", len(copies))
		}
		confirmed.Store(h.Revision)
		wait(3 * time.Second)
		if copies := storetest.Keys(t, etcd, "/gantry/bynode/"); len(copies) != 0 {
			t.Errorf("%v are left after the confirmation", copies)
		}
	})
}

func TestFewVanishedPodsAreNotHeld(t *testing.T) {
	registrytest.WithRepair(t, repairByNode(bynode.Observer{}), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
		vanish(t, r, etcd, 20, 4)
		wait(3 * time.Second)
		if copies := storetest.Keys(t, etcd, "/gantry/bynode/"); len(copies) != 16 {
			t.Errorf("%d copies are left, want 16", len(copies))
		}
	})
}

// Pods that are put back one by one are held until the last of them: a part of them is below the shares.
func TestHoldEndsWithTheLastPod(t *testing.T) {
	registrytest.WithRepair(t, repairByNode(bynode.Observer{}), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
		keys := vanish(t, r, etcd, 20, 20)
		wait(3 * time.Second)
		for i, key := range keys {
			if i%2 == 0 {
				value, _ := storetest.Value(t, etcd, strings.Replace(key, "/registry/pods/", "/gantry/bynode/n1/pods/", 1))
				storetest.Put(t, etcd, key, value)
			}
		}
		wait(time.Minute)
		if copies := storetest.Keys(t, etcd, "/gantry/bynode/"); len(copies) != 20 {
			t.Errorf("%d copies are left of 20", len(copies))
		}
		if n, err := bynode.Restore(registrytest.Context(t), etcd, "somebody", func(*store.KV) error { return nil }); len(n.Restored) != 10 || err != nil {
			t.Errorf("%v restored, %v", n, err)
		}
		wait(3 * time.Second)
		if left := storetest.Keys(t, etcd, "/gantry/vanished"); len(left) != 0 {
			t.Errorf("%v is left of the hold", left)
		}
		for _, key := range keys {
			value, rev := storetest.Value(t, etcd, key)
			copied, copyRev := storetest.Value(t, etcd, strings.Replace(key, "/registry/pods/", "/gantry/bynode/n1/pods/", 1))
			if value == "" || value != copied || rev != copyRev {
				t.Errorf("%s at %d and its copy at %d differ", key, rev, copyRev)
			}
		}
	})
}
