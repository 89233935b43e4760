package advertise_test

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/gateway/advertise"
	"gantry/agents/internal/identitylease"
	"gantry/registry"
	"gantry/registry/registrytest"
)

// A gateway renews its lease, creates it again when somebody deletes it, and deletes it when it ends.
func TestIdentityLeaseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := registrytest.New(t)
		cfg := advertise.Config{
			Registry: r, Address: netip.MustParseAddrPort("10.0.0.1:6443"), ClusterCA: []byte("the CA"), Log: slog.New(slog.DiscardHandler),
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- cfg.Run(ctx) }()
		leases := registry.For[*coordinationv1.Lease](r)
		lease := func() *coordinationv1.Lease {
			t.Helper()
			synctest.Wait()
			l, err := leases.Get(t.Context(), "kube-system", "apiserver-10-0-0-1-6443")
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		time.Sleep(time.Second) // of the bubble
		first := lease()
		if a, ok := identitylease.Address(first); !ok || a.String() != "10.0.0.1:6443" || first.Labels["apiserver.kubernetes.io/identity"] != "kube-apiserver" {
			t.Errorf("the lease names %s %v with labels %v", a, ok, first.Labels)
		}
		time.Sleep(identitylease.RenewInterval + time.Second)
		if second := lease(); !second.Spec.RenewTime.After(first.Spec.RenewTime.Time) || !second.Spec.AcquireTime.Equal(first.Spec.AcquireTime) {
			t.Errorf("after an interval the lease is %v, was %v", second.Spec, first.Spec)
		}
		if err := leases.Delete(t.Context(), "kube-system", first.Name, registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(identitylease.RenewInterval + time.Second)
		lease()
		ca, err := registry.For[*corev1.ConfigMap](r).Get(t.Context(), "kube-system", "extension-apiserver-authentication")
		if err != nil || ca.Data["client-ca-file"] != "the CA" {
			t.Errorf("the published CA is %v, %v", ca, err)
		}
		infos := registry.For[*corev1.ConfigMap](r)
		info, err := infos.Get(t.Context(), "kube-public", "cluster-info")
		const kubeconfig = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: dGhlIENB
    server: https://10.0.0.1:6443
  name: ""
contexts: null
current-context: ""
kind: Config
preferences: {}
users: null
`
		if err != nil || info.Data["kubeconfig"] != kubeconfig {
			t.Errorf("the cluster's information is %v, %v", info, err)
		}
		if _, err := infos.Modify(t.Context(), "kube-public", "cluster-info", func(m *corev1.ConfigMap) error {
			m.Data["kubeconfig"] = "of a load balancer"
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(identitylease.RenewInterval + time.Second)
		if info, err := infos.Get(t.Context(), "kube-public", "cluster-info"); err != nil || info.Data["kubeconfig"] != "of a load balancer" {
			t.Errorf("an administrator's information became %v, %v", info, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if l, err := leases.Get(t.Context(), "kube-system", first.Name); err == nil {
			t.Errorf("the lease is left after the end: %v", l.Spec)
		}
	})
}
