package allocate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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
		storetest.Put(t, etcd, "/registry/services/specs/default/raw", `{"kind":"Service","apiVersion":"v1",
			"metadata":{"namespace":"default","name":"raw","uid":"0f8fad5b-d9cb-469f-a165-70867728950e","creationTimestamp":"2026-07-01T12:00:00Z"},
			"spec":{"type":"ClusterIP","clusterIP":"10.96.0.12","clusterIPs":["10.96.0.12","fd00:96::12"],"ports":[{"port":80}]}}`)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{"10.96.0.10", "10.96.0.12", "fd00:96::12"}, storetest.Keys(t, etcd, addresses)); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
	})
}
