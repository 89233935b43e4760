package apitest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/core"
)

// TestConcurrentUpdatesOfOneRevision checks that one of many updates of the same revision succeeds, and that the others are not sent to
// etcd.
func TestConcurrentUpdatesOfOneRevision(t *testing.T) {
	etcd := &interceptedStore{Store: store.NewFake()}
	r := registrytest.On(t, etcd)
	registrytest.Namespace(t, r, "default")
	ctx := registrytest.Context(t)
	first := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "0"), registry.WriteOptions{}))
	var commits atomic.Int64
	held := make(chan struct{})
	etcd.commit = func(ctx context.Context, s store.Store, txn store.Txn) (store.TxnResult, error) {
		commits.Add(1)
		<-held
		return s.Commit(ctx, txn)
	}
	const writers = 20
	came, results := make(chan struct{}, writers), make(chan error, writers)
	for range writers {
		go func() {
			cm := registrytest.ConfigMap("a", "n", "1")
			cm.ResourceVersion = registrytest.ResourceVersion(t, first)
			came <- struct{}{}
			_, err := r.Update(ctx, core.ConfigMap, cm, registry.WriteOptions{})
			results <- err
		}()
	}
	for range writers {
		<-came
	}
	close(held)
	won := 0
	for range writers {
		switch err := <-results; {
		case err == nil:
			won++
		case !errors.Is(err, registry.Conflict):
			t.Error(err)
		}
	}
	if won != 1 || commits.Load() != 1 {
		t.Errorf("%d of %d won with %d transactions, want 1 and 1", won, writers, commits.Load())
	}
	if got := registrytest.Must(t)(r.Get(ctx, core.ConfigMap, "default", "a", "")).Object().(*corev1.ConfigMap).Data["n"]; got != "1" {
		t.Errorf("n is %q", got)
	}
}
