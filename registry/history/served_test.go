package history_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/history"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// TestRecordsAreNotServed checks that the record of who wrote an object is in etcd and not in what a registry serves, in the process that
// wrote it and in another.
func TestRecordsAreNotServed(t *testing.T) {
	ctx := registrytest.Context(t)
	s := store.NewFake()
	cfg := registry.Config{Store: s, Kinds: schema.NewKinds(schema.NewSet(core.Namespace, core.ConfigMap)), Agent: "test"}
	writer, reader := registrytest.Run(t, cfg), registrytest.Run(t, cfg)
	if _, err := writer.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, registry.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	it, err := writer.Create(registry.WithUser(ctx, &authenticationv1.UserInfo{Username: "alice"}), core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "a"}}, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*registry.Registry{"writer": writer, "reader": reader} {
		got, err := r.Get(ctx, core.ConfigMap, "n", "a", "")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(it.JSON), string(got.JSON)); d != "" {
			t.Errorf("%s (-created +got):\n%s", name, d)
		}
	}
	kv, _, err := s.Get(ctx, registry.Key(core.ConfigMap, "n", "a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if by, ok := history.RecordIn(kv.Value, 0); !ok || by.User != "alice" || time.Since(by.Time) > time.Minute {
		t.Errorf("record %+v, %v in %s", by, ok, kv.Value)
	}
	if _, warnings, err := schema.Decode(core.ConfigMap.Stored(), kv.Value); err != nil || len(warnings) > 0 {
		t.Errorf("a value of etcd sent to the API: %v, %v", warnings, err)
	}
}
