package apitest_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// The write path without etcd: what a write costs this process besides its transaction.

func BenchmarkCreatePod(b *testing.B) {
	r, _ := registrytest.New(b)
	for i := 0; b.Loop(); i++ {
		if _, err := r.Create(context.Background(), core.Pod, registrytest.Pod(fmt.Sprintf("p%d", i)), registry.WriteOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPodStatus(b *testing.B) {
	r, _ := registrytest.New(b)
	ctx := context.Background()
	if _, err := r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		_, err := r.Modify(ctx, core.Pod, "default", "p", func(o schema.Object) (schema.Object, error) {
			o.(*corev1.Pod).Status.Message = fmt.Sprint(i)
			return o, nil
		}, registry.WriteOptions{Subresource: "status"})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateService(b *testing.B) {
	etcd := store.NewFake()
	running := registrytest.On(b, etcd)
	registrytest.Namespace(b, running, "default")
	r := registry.New(registry.Config{Store: etcd, Kinds: running.Kinds(), ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for i := 0; b.Loop(); i++ {
		if _, err := r.Create(context.Background(), core.Service, registrytest.Service(fmt.Sprintf("s%d", i)), registry.WriteOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
