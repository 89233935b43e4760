package network_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/agents/internal/identitylease"
	"gantry/registry"
)

// gateways are the identity leases of gateways that a test lets run and end.
type gateways struct {
	t    *testing.T
	r    *registry.Registry
	stop map[string]func()
}

// start renews the lease of the gateway at an address until it is stopped.
func (g *gateways) start(text string) {
	g.t.Helper()
	address := netip.MustParseAddrPort(text)
	leases, name := registry.For[*coordinationv1.Lease](g.r), identitylease.Name(address)
	renew := func(ctx context.Context) error {
		_, err := leases.Modify(ctx, identitylease.Namespace, name, func(l *coordinationv1.Lease) error {
			identitylease.Fill(l, address, time.Now())
			return nil
		})
		if err != nil {
			l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: identitylease.Namespace, Name: name}}
			identitylease.Fill(l, address, time.Now())
			_, err = leases.Create(ctx, l)
		}
		return err
	}
	ctx, cancel := context.WithCancel(g.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			wait := identitylease.RenewInterval
			if renew(ctx) != nil {
				wait = 250 * time.Millisecond // as a gateway does
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
	}()
	g.stop[text] = func() {
		cancel()
		<-ended
		delete(g.stop, text)
	}
}

// leave stops a gateway, which deletes its lease.
func (g *gateways) leave(text string) {
	g.t.Helper()
	g.stop[text]()
	name := identitylease.Name(netip.MustParseAddrPort(text))
	if err := registry.For[*coordinationv1.Lease](g.r).Delete(g.t.Context(), identitylease.Namespace, name, registry.DeleteOptions{}); err != nil {
		g.t.Fatal(err)
	}
}

// addresses are those that the slices of the Service kubernetes lead to.
func addresses(c *controllertest.Cluster) (all []string) {
	for _, s := range controllertest.List[*discoveryv1.EndpointSlice](c, "default", "kubernetes.io/service-name=kubernetes") {
		for _, e := range s.Endpoints {
			all = append(all, netip.AddrPortFrom(netip.MustParseAddr(e.Addresses[0]), uint16(*s.Ports[0].Port)).String())
		}
	}
	return all
}

func inBubble(t *testing.T, story func(t *testing.T, c *controllertest.Cluster, g *gateways)) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, func(cfg *controllers.Config) {
			cfg.Controllers = []string{"namespace", "serviceaccount", "kubernetesservice", "endpoints", "endpointslice", "endpointslicemirroring", "garbage"}
		})
		g := &gateways{t, c.Registry, map[string]func(){}}
		defer func() {
			for _, stop := range g.stop {
				stop()
			}
		}()
		story(t, c, g)
	})
}

func wantAddresses(t *testing.T, c *controllertest.Cluster, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, addresses(c)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// Three gateways, one of which dies, one leaves, and then the last one.
func TestKubernetesServiceLeadsToTheGatewaysThatRun(t *testing.T) {
	inBubble(t, func(t *testing.T, c *controllertest.Cluster, g *gateways) {
		c.Ready()
		if _, ok := controllertest.Get[*corev1.Service](c, "default", "kubernetes"); ok {
			t.Error("the Service is there before any gateway")
		}
		g.start("10.0.0.1:6443")
		time.Sleep(100 * time.Millisecond)
		wantAddresses(t, c, "one gateway", "10.0.0.1:6443")
		g.start("10.0.0.2:6443")
		g.start("10.0.0.1:7443")
		time.Sleep(time.Hour)
		wantAddresses(t, c, "three gateways", "10.0.0.1:6443", "10.0.0.2:6443", "10.0.0.1:7443")
		g.stop["10.0.0.2:6443"]()
		time.Sleep(identitylease.Duration - identitylease.RenewInterval)
		wantAddresses(t, c, "one is about to expire", "10.0.0.1:6443", "10.0.0.2:6443", "10.0.0.1:7443")
		time.Sleep(identitylease.RenewInterval + time.Second)
		wantAddresses(t, c, "one has died", "10.0.0.1:6443", "10.0.0.1:7443")
		g.leave("10.0.0.1:7443")
		time.Sleep(100 * time.Millisecond)
		wantAddresses(t, c, "one has left", "10.0.0.1:6443")
		g.stop["10.0.0.1:6443"]()
		time.Sleep(time.Hour)
		wantAddresses(t, c, "the last one stays named", "10.0.0.1:6443")
		if left := controllertest.List[*coordinationv1.Lease](c, identitylease.Namespace, identitylease.Selector); len(left) != 0 {
			t.Errorf("leases of gateways that died are left: %v", left)
		}
		svc, _ := controllertest.Get[*corev1.Service](c, "default", "kubernetes")
		if svc.Spec.ClusterIP != "10.96.0.1" || svc.Spec.Ports[0].Port != 443 {
			t.Errorf("the Service is %s %v, want 10.96.0.1 and 443", svc.Spec.ClusterIP, svc.Spec.Ports)
		}
		ends, _ := controllertest.Get[*corev1.Endpoints](c, "default", "kubernetes")
		if len(ends.Subsets) != 1 || ends.Subsets[0].Addresses[0].IP != "10.0.0.1" || ends.Subsets[0].Ports[0].Port != 6443 {
			t.Errorf("the Endpoints are %v", ends.Subsets)
		}
		g.start("10.0.0.3:6443")
		time.Sleep(100 * time.Millisecond)
		wantAddresses(t, c, "another one", "10.0.0.3:6443")
	})
}

// What somebody deletes or changes comes back at once.
func TestKubernetesServiceIsRestored(t *testing.T) {
	inBubble(t, func(t *testing.T, c *controllertest.Cluster, g *gateways) {
		c.Ready()
		g.start("10.0.0.1:6443")
		time.Sleep(time.Minute)
		services := registry.For[*corev1.Service](c.Registry)
		if err := services.Delete(t.Context(), "default", "kubernetes", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := registry.For[*discoveryv1.EndpointSlice](c.Registry).Delete(t.Context(), "default", "kubernetes", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		wantAddresses(t, c, "the slice was deleted", "10.0.0.1:6443")
		if svc, ok := controllertest.Get[*corev1.Service](c, "default", "kubernetes"); !ok || svc.Spec.ClusterIP != "10.96.0.1" {
			t.Errorf("the Service was deleted, and now is %v %v", ok, svc)
		}
		_, err := services.Modify(t.Context(), "default", "kubernetes", func(s *corev1.Service) error { s.Spec.Ports[0].Port = 80; return nil })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if svc, _ := controllertest.Get[*corev1.Service](c, "default", "kubernetes"); svc.Spec.Ports[0].Port != 443 {
			t.Errorf("the Service's port was changed, and now is %d", svc.Spec.Ports[0].Port)
		}
	})
}

// A store that does not answer is no reason to take gateways for dead, which cannot renew their leases either.
func TestKubernetesServiceOutlivesTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, c *controllertest.Cluster, g *gateways) {
		c.Ready()
		g.start("10.0.0.1:6443")
		time.Sleep(identitylease.RenewInterval / 2) // one renews before the other
		g.start("10.0.0.2:6443")
		for away := 9 * time.Second; away < 16*time.Second; away += 170 * time.Millisecond {
			time.Sleep(time.Minute)
			c.Store.Fail(&registry.Error{Kind: registry.Unavailable, Resource: "etcd"})
			time.Sleep(away)
			c.Store.Fail(nil)
			for range 16 {
				time.Sleep(time.Second)
				wantAddresses(t, c, "after the store was away for "+away.String(), "10.0.0.1:6443", "10.0.0.2:6443")
			}
		}
	})
}
