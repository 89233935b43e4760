// Package registrytest gives tests a registry with what every cluster has (the first namespaces and their service accounts, without which
// admission refuses pods), objects to write, and checks of what was written and read.
package registrytest

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/mutation"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

// New returns a registry of all kinds on an empty store in memory, running until the test ends, with the namespaces
// default, kube-system, kube-public and kube-node-lease.
func New(t testing.TB) (*registry.Registry, *store.Fake) {
	t.Helper()
	etcd := store.NewFake()
	r := On(t, etcd)
	for _, name := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease} {
		Namespace(t, r, name)
	}
	return r, etcd
}

// On returns a registry of all kinds on a store, running until the test ends. A test (no benchmark) fails where a shared object of a
// registry's cache was changed.
func On(t testing.TB, etcd store.Store) *registry.Registry {
	t.Helper()
	return WithAdmission(t, etcd, nil)
}

// WithAdmission is On with other rules of admission than the built-in ones.
func WithAdmission(t testing.TB, etcd store.Store, rules admit.Rules) *registry.Registry {
	t.Helper()
	return Run(t, registry.Config{
		Store: etcd, Kinds: kinds.New(), Agent: "test", Admission: rules,
		ServiceCIDRs: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/16")},
	})
}

// Run returns a registry of a configuration of the test's own, running until the test ends.
func Run(t testing.TB, cfg registry.Config) *registry.Registry {
	t.Helper()
	DetectMutations(t)
	r := registry.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running the registry: %v", err)
		}
	})
	return r
}

// WithRepair runs f in a bubble of fake time, with New's registry and one of its repair loops beside it.
func WithRepair(t *testing.T, repair func(*registry.Registry, context.Context) error, f func(t *testing.T, r *registry.Registry, etcd *store.Fake)) {
	synctest.Test(t, func(t *testing.T) {
		r, etcd := New(t)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- repair(r, ctx) }()
		f(t, r, etcd)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// DetectMutations makes a test fail at its end where a shared object of a registry's cache was changed.
func DetectMutations(t testing.TB) {
	_, test := t.(*testing.T)
	mutation.Detect(test)
	t.Cleanup(func() {
		if err := mutation.Changed(); err != nil {
			t.Error(err)
		}
	})
}

// Namespace creates a namespace and its default service account.
func Namespace(t testing.TB, r *registry.Registry, name string) {
	t.Helper()
	ctx := context.Background()
	_, err := registry.For[*corev1.Namespace](r).Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "default"}}
	if _, err := registry.For[*corev1.ServiceAccount](r).Create(ctx, account); err != nil {
		t.Fatal(err)
	}
}
