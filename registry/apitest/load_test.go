package apitest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

func TestHundredIncrementersOnEtcd(t *testing.T) {
	etcd := embeddedtest.Store(t)
	raw := rawIncrements(t, etcd, 1000)
	began := time.Now()
	hundredIncrementers(t, etcd, 10)
	took := time.Since(began)
	t.Logf("1000 increments by 100 clients of 4 processes in %s, raw by one client in %s", took, raw)
}

// rawIncrements is the floor: compare-and-put transactions one after the other.
func rawIncrements(t *testing.T, etcd store.Store, n int) time.Duration {
	t.Helper()
	ctx := registrytest.Context(t)
	began := time.Now()
	rev := int64(0)
	for range n {
		res, err := etcd.Commit(ctx, store.Txn{
			Compares: []store.Compare{{Key: "/raw", Revision: rev}},
			Puts:     []store.Put{{Key: "/raw", Value: make([]byte, 300)}},
		})
		if err != nil || !res.Done {
			t.Fatal(res, err)
		}
		rev = res.Revision
	}
	return time.Since(began)
}

// Kubernetes' watches resume after a revision: two objects of a type with one revision would lose an event.
func TestRevisionsAreUniqueWithinAType(t *testing.T) {
	for name, etcd := range map[string]store.Store{"fake": store.NewFake(), "etcd": embeddedtest.Store(t)} {
		t.Run(name, func(t *testing.T) {
			ctx := registrytest.Context(t)
			_, from, err := etcd.Get(ctx, "/", 0)
			if err != nil {
				t.Fatal(err)
			}
			one, two := registrytest.On(t, etcd), registrytest.On(t, etcd)
			registrytest.Namespace(t, one, "default")
			churn(t, one, two)
			checkHistory(t, etcd, from+1)
		})
	}
}

// churn makes, binds, changes and deletes pods and services from two processes at once.
func churn(t *testing.T, rs ...*registry.Registry) {
	ctx := registrytest.Context(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			r := rs[w%len(rs)]
			for i := range 10 {
				name := fmt.Sprintf("w%d-%d", w, i)
				if err := life(ctx, r, name); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// life is one pod's and one service's.
func life(ctx context.Context, r *registry.Registry, name string) error {
	if _, err := r.Create(ctx, core.Pod, registrytest.Pod(name), registry.WriteOptions{}); err != nil {
		return err
	}
	svc := registrytest.Service(name)
	svc.Spec.Type = corev1.ServiceTypeNodePort
	if _, err := r.Create(ctx, core.Service, svc, registry.WriteOptions{}); err != nil {
		return err
	}
	if _, err := registrytest.Bind(ctx, r, name, "n1", registry.WriteOptions{}); err != nil {
		return err
	}
	_, err := r.Modify(ctx, core.Pod, "default", name, func(o schema.Object) (schema.Object, error) {
		o.(*corev1.Pod).Status.Phase = corev1.PodRunning
		return o, nil
	}, registry.WriteOptions{Subresource: "status"})
	if err != nil {
		return err
	}
	if _, _, err = r.Delete(ctx, core.Pod, "default", name, registry.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		return err
	}
	_, _, err = r.Delete(ctx, core.Service, "default", name, registry.DeleteOptions{})
	return err
}

// checkHistory reads all that happened and looks at every transaction.
func checkHistory(t *testing.T, etcd store.Store, from int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(registrytest.Context(t))
	defer cancel()
	_, now, err := etcd.Get(ctx, "/", 0)
	if err != nil {
		t.Fatal(err)
	}
	types := map[int64]map[string]string{} // by revision: the key of each type
	copies := map[int64]int{}
	events := 0
	for b := range etcd.Watch(ctx, "/", "0", from, false) {
		if b.Err != nil {
			t.Fatal(b.Err)
		}
		for _, e := range b.Events {
			events++
			kind := strings.Join(strings.Split(e.KV.Key, "/")[:3], "/")
			if strings.HasPrefix(e.KV.Key, "/gantry/nodeports/") || strings.HasPrefix(e.KV.Key, "/gantry/version") {
				continue
			}
			rev := e.KV.ModRevision
			if types[rev] == nil {
				types[rev] = map[string]string{}
			}
			if other, twice := types[rev][kind]; twice {
				t.Fatalf("revision %d has %s and %s", rev, other, e.KV.Key)
			}
			types[rev][kind] = e.KV.Key
			if kind == "/gantry/bynode" {
				copies[rev]++
				if types[rev]["/registry/pods"] == "" && len(b.Events) == 1 {
					t.Fatalf("revision %d changes a copy without its pod", rev)
				}
			}
		}
		if b.Revision >= now {
			break
		}
	}
	if events < 80*8 || len(copies) < 80*3 {
		t.Errorf("%d events, %d revisions with copies: too few for what was done", events, len(copies))
	}
}
