package admit_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

const countKey = "/gantry/admission/CountQuota/default/configmaps"

// countQuota lets a namespace have so many config maps, which it counts in a key.
func countQuota(limit int) admit.Rule {
	return admit.Rule{
		Name: "CountQuota", Doc: "a namespace has a limited number of config maps",
		Wants: func(_ admit.Operation, k *schema.Kind, _ string) bool { return k == core.ConfigMap },
		Validate: func(ctx context.Context, read admit.Reader, q *admit.Request) error {
			step := 0
			switch {
			case q.Operation == admit.Create:
				step = 1
			case q.Removes:
				step = -1
			default:
				return nil
			}
			key, err := admit.NewKey("CountQuota", q.Namespace, "configmaps")
			if err != nil {
				return err
			}
			kv, err := read.Get(ctx, key)
			if err != nil {
				return err
			}
			n, _ := strconv.Atoi(string(kv.Value))
			if n += step; n > limit && step > 0 {
				return &admit.Denied{Reason: fmt.Sprintf("exceeded quota: limited to %d", limit)}
			}
			return q.Put(kv, []byte(strconv.Itoa(n)))
		},
	}
}

// quotaProcesses are two processes with a quota on one store, and a count of what is stored that fails the test above the limit.
func quotaProcesses(t *testing.T, etcd store.Store, limit int) [2]*registry.Registry {
	t.Helper()
	rules := append(admit.BuiltIn(), countQuota(limit))
	processes := [2]*registry.Registry{registrytest.WithAdmission(t, etcd, rules), registrytest.WithAdmission(t, etcd, rules)}
	registrytest.Namespace(t, processes[0], "default")
	return processes
}

// followCount replays the store's changes until stop is closed and holds the count against the objects after each of them.
func followCount(t *testing.T, etcd store.Store, limit int, last int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(registrytest.Context(t))
	defer cancel()
	objects, count := map[string]bool{}, ""
	for batch := range etcd.Watch(ctx, "/", "0", 1, false) {
		if batch.Err != nil {
			t.Fatal(batch.Err)
		}
		for i, e := range batch.Events {
			switch {
			case e.KV.Key == countKey:
				count = string(e.KV.Value)
			case !strings.HasPrefix(e.KV.Key, "/registry/configmaps/"):
			case e.Delete:
				delete(objects, e.KV.Key)
			default:
				objects[e.KV.Key] = true
			}
			if whole := i == len(batch.Events)-1 || batch.Events[i+1].KV.ModRevision != e.KV.ModRevision; !whole || count == "" {
				continue
			}
			if count != strconv.Itoa(len(objects)) || len(objects) > limit {
				t.Fatalf("at revision %d there are %d objects, the count is %s, the limit %d", e.KV.ModRevision, len(objects), count, limit)
			}
		}
		if batch.Revision >= last {
			return
		}
	}
	t.Fatalf("the watch ended before revision %d", last)
}

func onEachStore(t *testing.T, f func(t *testing.T, etcd store.Store)) {
	t.Run("fake", func(t *testing.T) { f(t, store.NewFake()) })
	t.Run("etcd", func(t *testing.T) { f(t, embeddedtest.Store(t)) })
}

func TestQuotaOfManyWriters(t *testing.T) {
	const limit, writers, each = 7, 16, 12
	onEachStore(t, func(t *testing.T, etcd store.Store) {
		processes := quotaProcesses(t, etcd, limit)
		ctx := registrytest.Context(t)
		var wg sync.WaitGroup
		for w := range writers {
			r := processes[w%2]
			wg.Go(func() {
				for i := range each {
					name := fmt.Sprintf("c%d-%d", w, i)
					_, err := r.Create(ctx, core.ConfigMap, registrytest.ConfigMap(name), registry.WriteOptions{})
					switch {
					case err == nil:
						if _, gone, err := r.Delete(ctx, core.ConfigMap, "default", name, registry.DeleteOptions{}); err != nil || !gone {
							t.Errorf("deleting %s: %v", name, err)
						}
					case !errors.Is(err, registry.Forbidden) || !strings.Contains(err.Error(), "exceeded quota: limited to 7"):
						t.Errorf("creating %s: %v", name, err)
					}
				}
			})
		}
		wg.Wait()
		for i := range limit {
			registrytest.Must(t)(processes[i%2].Create(ctx, core.ConfigMap, registrytest.ConfigMap(fmt.Sprintf("last%d", i)), registry.WriteOptions{}))
		}
		for _, r := range processes {
			if _, err := r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("more"), registry.WriteOptions{}); !errors.Is(err, registry.Forbidden) {
				t.Errorf("creating above the limit: %v", err)
			}
		}
		last, err := etcd.Revision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		followCount(t, etcd, limit, last)
	})
}

// TestQuotaIsReadAnew checks that a process reads the quota from the store before it refuses, and that its transaction fails where the
// quota has been used up since it read it.
func TestQuotaIsReadAnew(t *testing.T) {
	onEachStore(t, func(t *testing.T, etcd store.Store) {
		processes := quotaProcesses(t, etcd, 1)
		ctx := registrytest.Context(t)
		registrytest.Must(t)(processes[0].Create(ctx, core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{}))
		if _, _, err := processes[1].Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		registrytest.Must(t)(processes[0].Create(ctx, core.ConfigMap, registrytest.ConfigMap("b"), registry.WriteOptions{})) // which remembers one of one
		if _, err := processes[1].Create(ctx, core.ConfigMap, registrytest.ConfigMap("c"), registry.WriteOptions{}); !errors.Is(err, registry.Forbidden) {
			t.Errorf("a process that remembers none of one: %v", err)
		}
	})
}

// TestQuotaCountsEveryRemoval checks that an object counts until it is removed: by a deletion, by its last finalizer, or with its
// collection.
func TestQuotaCountsEveryRemoval(t *testing.T) {
	etcd := store.NewFake()
	r := quotaProcesses(t, etcd, 5)[0]
	ctx := registrytest.Context(t)
	count := func() string {
		kv, _, err := etcd.Get(ctx, countKey, 0)
		if err != nil || kv == nil {
			t.Fatal(kv, err)
		}
		return string(kv.Value)
	}
	held := registrytest.ConfigMap("held")
	held.Finalizers = []string{"example.com/held"}
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, held, registry.WriteOptions{}))
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("dry"), registry.WriteOptions{DryRun: true}))
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{}))
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("b"), registry.WriteOptions{}))
	if _, gone, err := r.Delete(ctx, core.ConfigMap, "default", "held", registry.DeleteOptions{}); err != nil || gone {
		t.Fatal(gone, err)
	}
	if n := count(); n != "3" {
		t.Errorf("the count is %s while a finalizer holds the first, want 3", n)
	}
	registrytest.Must(t)(r.Modify(ctx, core.ConfigMap, "default", "held", func(o schema.Object) (schema.Object, error) {
		o.SetFinalizers(nil)
		return o, nil
	}, registry.WriteOptions{}))
	if n := count(); n != "2" {
		t.Errorf("the count is %s after the last finalizer, want 2", n)
	}
	if _, err := r.DeleteCollection(ctx, core.ConfigMap, "default", registry.DeleteOptions{}, registry.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != "0" {
		t.Errorf("the count is %s after the collection, want 0", n)
	}
}
