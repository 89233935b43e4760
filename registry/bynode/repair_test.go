package bynode_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry"
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

// repairByNode is the loop with what it tells.
func repairByNode(onHold func(string)) func(*registry.Registry, context.Context) error {
	return func(r *registry.Registry, ctx context.Context) error { return r.RepairByNode(ctx, onHold) }
}

func TestRepairByNode(t *testing.T) {
	repair := repairByNode(nil)
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
	registrytest.WithRepair(t, repairByNode(nil), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
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

func TestCopiesOfVanishedPodsAreKept(t *testing.T) {
	var reported []string
	registrytest.WithRepair(t, repairByNode(func(text string) { reported = append(reported, text) }), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
		var all []string
		for i := range 20 {
			boundPod(t, r, fmt.Sprintf("p%d", i), "n1")
			all = append(all, fmt.Sprintf("/registry/pods/default/p%d", i))
		}
		if _, err := etcd.Commit(registrytest.Context(t), store.Txn{Deletes: all}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if copies := storetest.Keys(t, etcd, "/gantry/bynode/"); len(copies) != 20 {
			t.Errorf("%d copies are left of 20", len(copies))
		}
		if len(reported) != 1 || !strings.HasPrefix(reported[0], "20 pods vanished from etcd") {
			t.Errorf("reported %q", reported)
		}
	})
}
