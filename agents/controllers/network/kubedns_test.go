package network_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/core"
)

// TestKubeDNS checks that the Service is made and repaired.
func TestKubeDNS(t *testing.T) {
	c := controllertest.Start(t, func(cfg *controllers.Config) {
		cfg.ClusterDNS = netip.MustParseAddr("10.96.0.10")
	})
	c.Ready()
	services := registry.For[*corev1.Service](c.Registry)
	get := func() *corev1.Service {
		if svc, ok := controllertest.Get[*corev1.Service](c, "kube-system", "kube-dns"); ok {
			return svc
		}
		return &corev1.Service{}
	}
	untilPorts := func(n int) {
		t.Helper()
		c.Until(func() string {
			if svc := get(); svc.Spec.ClusterIP != "10.96.0.10" || len(svc.Spec.Ports) != n {
				return "no Service at 10.96.0.10 with all ports"
			}
			return ""
		}, core.Service)
	}
	untilPorts(3)
	want := map[string]string{
		"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS", "kubernetes.io/cluster-service": "true",
		"service.kubernetes.io/service-proxy-name": "gantry-dns",
	}
	if d := cmp.Diff(want, get().Labels); d != "" {
		t.Errorf("labels (-want +got):\n%s", d)
	}
	modify := func(change func(*corev1.Service)) {
		t.Helper()
		if _, err := services.Modify(t.Context(), "kube-system", "kube-dns", func(s *corev1.Service) error {
			change(s)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	modify(func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[:1] })
	untilPorts(3)
	if err := services.Delete(t.Context(), "kube-system", "kube-dns", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	untilPorts(3)
}
