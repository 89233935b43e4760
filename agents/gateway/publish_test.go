package gateway

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/registry"
	"gantry/schema/discovery"
)

// gateways are the addresses that the slices of the Service kubernetes lead to.
func (c *cluster) gateways() (all []string) {
	c.t.Helper()
	found, err := c.reg.List(c.t.Context(), discovery.EndpointSlice, "default", registry.ListOptions{Labels: "kubernetes.io/service-name=kubernetes"})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, it := range found.Items {
		s := it.Object().(*discoveryv1.EndpointSlice)
		for _, e := range s.Endpoints {
			all = append(all, netip.AddrPortFrom(netip.MustParseAddr(e.Addresses[0]), uint16(*s.Ports[0].Port)).String())
		}
	}
	return all
}

// TestGatewaysKnowEachOther publishes three gateways, one of which dies.
func TestGatewaysKnowEachOther(t *testing.T) {
	c := newCluster(t)
	now := time.Now()
	start := func(address string) *publisher {
		cfg := c.gateway.cfg
		a := netip.MustParseAddrPort(address)
		cfg.AdvertiseAddress, cfg.SecurePort, cfg.ServiceCIDR = a.Addr(), int(a.Port()), netip.MustParsePrefix("10.96.0.0/16")
		return newPublisher(cfg)
	}
	publish := func(at time.Time, all ...*publisher) {
		t.Helper()
		for range 2 { // the first sees only those before it
			for _, p := range all {
				if err := p.publish(t.Context(), at); err != nil {
					t.Fatal(err)
				}
				if _, err := c.reg.Get(t.Context(), c.reg.Kinds().Set().Resource("coordination.k8s.io", "leases"), leaseNamespace, p.lease(), ""); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	a, b, d := start("10.0.0.1:6443"), start("10.0.0.2:6443"), start("10.0.0.1:7443")
	publish(now, a, b, d)
	if diff := cmp.Diff([]string{"10.0.0.1:6443", "10.0.0.2:6443", "10.0.0.1:7443"}, c.gateways()); diff != "" {
		t.Errorf("three gateways (-want +got):\n%s", diff)
	}
	publish(now.Add(leaseLife/2), a, d)
	publish(now.Add(leaseLife+time.Second), a, d) // b has not been heard of since
	if diff := cmp.Diff([]string{"10.0.0.1:6443", "10.0.0.1:7443"}, c.gateways()); diff != "" {
		t.Errorf("one has died (-want +got):\n%s", diff)
	}
	d.leave(t.Context())
	if diff := cmp.Diff([]string{"10.0.0.1:6443"}, c.gateways()); diff != "" {
		t.Errorf("one has left (-want +got):\n%s", diff)
	}
	a.leave(t.Context())
	if diff := cmp.Diff([]string{"10.0.0.1:6443"}, c.gateways()); diff != "" {
		t.Errorf("the last one stays named (-want +got):\n%s", diff)
	}
	svc, err := registry.For[*corev1.Service](c.reg).Get(t.Context(), "default", "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	if svc.Spec.ClusterIP != "10.96.0.1" || svc.Spec.Ports[0].Port != 443 {
		t.Errorf("the Service is %s %v, want 10.96.0.1 and 443", svc.Spec.ClusterIP, svc.Spec.Ports)
	}
	ends, err := registry.For[*corev1.Endpoints](c.reg).Get(t.Context(), "default", "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	if len(ends.Subsets) != 1 || ends.Subsets[0].Addresses[0].IP != "10.0.0.1" || ends.Subsets[0].Ports[0].Port != 6443 {
		t.Errorf("the Endpoints are %v", ends.Subsets)
	}
}
