package lifecycle_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// How long a namespace is missing before it is emptied, and how often that is looked for.
const (
	emptiedAfter = 5 * time.Minute
	emptiedEvery = time.Minute
)

func TestNamespacesDeletedPastTheAPIAreEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, etcd := registrytest.New(t)
		ctx, cancel := context.WithCancel(t.Context())
		cfg := controllertest.Config(t, r)
		cfg.Controllers = []string{"namespacegc"}
		ended := make(chan error, 1)
		go func() { ended <- controllers.Run(ctx, cfg) }()
		for i := range 40 {
			registrytest.Namespace(t, r, fmt.Sprintf("ns%d", i))
		}
		vanish := func(names ...string) {
			var txn store.Txn
			for _, name := range names {
				txn.Deletes = append(txn.Deletes, "/registry/namespaces/"+name)
			}
			if _, err := etcd.Commit(ctx, txn); err != nil {
				t.Fatal(err)
			}
		}
		empty := func(name string) bool {
			t.Helper()
			for _, k := range kinds.BuiltIn().All {
				if !k.Namespaced {
					continue
				}
				l, err := r.List(ctx, k, name, registry.ListOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if len(l.Items) > 0 {
					return false
				}
			}
			return true
		}
		vanish("ns1", "ns2")
		time.Sleep(emptiedAfter - time.Second) // of the bubble's time
		if _, err := r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns2"}}, registry.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		if empty("ns1") {
			t.Error("it was emptied at once")
		}
		time.Sleep(2*emptiedEvery + time.Second)
		synctest.Wait()
		if !empty("ns1") || empty("ns2") || empty("ns3") {
			t.Errorf("emptied: the missing one %v, the one that came back %v, one that is there %v", empty("ns1"), empty("ns2"), empty("ns3"))
		}
		vanish("ns3", "ns4", "ns5", "ns6", "ns7", "ns8")
		time.Sleep(3 * emptiedAfter)
		synctest.Wait()
		if empty("ns3") {
			t.Error("many vanished at once, and their objects too")
		}
		events, err := r.List(ctx, core.Event, "kube-system", registry.ListOptions{})
		if err != nil || len(events.Items) == 0 {
			t.Errorf("no event says so: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
