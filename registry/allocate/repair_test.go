package allocate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
)

func TestRepairClaims(t *testing.T) {
	registrytest.WithRepair(t, (*registry.Registry).RepairClaims, func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
		ctx := registrytest.Context(t)
		registrytest.Must(t)(r.Create(ctx, core.Service, asks("kept", "10.96.0.10"), registry.WriteOptions{}))
		registrytest.Must(t)(r.Create(ctx, core.Service, asks("gone", "10.96.0.11"), registry.WriteOptions{}))
		_, err := etcd.Commit(ctx, store.Txn{Deletes: []string{addresses + "10.96.0.10", "/registry/services/specs/default/gone"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := storetest.Keys(t, etcd, addresses); len(got) != 1 || got[0] != "10.96.0.10" {
			t.Errorf("addresses %v", got)
		}
	})
}
