package proxy

import (
	"net"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/loadbalancer"
	"gantry/agents/proxy/announce"
	"gantry/registry"
)

// The node has the address while it is the one that announces it: as long as it is ready, or no other node is.
func TestRunAnnouncesAddresses(t *testing.T) {
	c := newCluster(t)
	c.start()
	t.Cleanup(func() {
		if err := announce.Clean(); err != nil {
			t.Error(err)
		}
	})
	create(c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	setReady := func(name string, status corev1.ConditionStatus) {
		t.Helper()
		if _, err := registry.For[*corev1.Node](c.r).ModifyStatus(t.Context(), "", name, func(n *corev1.Node) error {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	until := func(want ...string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			var have []string
			if link, err := net.InterfaceByName(announce.LinkName); err == nil {
				list, _ := link.Addrs()
				for _, a := range list {
					if ip := a.(*net.IPNet).IP; !ip.IsLinkLocalUnicast() {
						have = append(have, a.String())
					}
				}
			}
			if slices.Equal(have, want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("announced %v, want %v", have, want)
			}
		}
	}
	svc := service("web", "", port("", 80, 0))
	svc.Spec.Type, svc.Spec.ClusterIP, svc.Spec.ClusterIPs = corev1.ServiceTypeLoadBalancer, "", nil
	create(c, svc)
	if _, err := registry.For[*corev1.Service](c.r).ModifyStatus(t.Context(), "default", "web", func(s *corev1.Service) error {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.7"}}
		s.Status.Conditions = []metav1.Condition{{Type: loadbalancer.AddressAssigned, Status: metav1.ConditionTrue, Reason: "Assigned", LastTransitionTime: metav1.Now()}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	until()
	create(c, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	until("198.51.100.7/32") // no node is ready, and this is the only one
	create(c, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}})
	setReady("n2", corev1.ConditionTrue)
	until()
	setReady("n1", corev1.ConditionTrue)
	setReady("n2", corev1.ConditionUnknown)
	until("198.51.100.7/32")
	c.stop()
	until("198.51.100.7/32") // it stays
	c.start()
	if err := registry.For[*corev1.Service](c.r).Delete(t.Context(), "default", "web", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until()
}
