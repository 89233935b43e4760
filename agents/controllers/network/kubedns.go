package network

import (
	"context"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

const (
	kubeDNSName = "kube-dns"
	kubeDNSKey  = metav1.NamespaceSystem + "/" + kubeDNSName
	// proxyNameLabel has proxies leave out a Service: each node's name server answers on the address itself.
	proxyNameLabel = "service.kubernetes.io/service-proxy-name"
	dnsProxyName   = "gantry-dns"
)

// kubeDNS makes the Service kube-system/kube-dns, so that charts find it and its address is not given to another Service. One that is
// there and was not made here is left alone: another name server may run in the cluster. It has one key, that of the Service.
type kubeDNS struct {
	*controller.Env
	address netip.Addr
}

// NewKubeDNS keeps the Service kube-dns at address; where that is in none of serviceCIDRs it does nothing.
func NewKubeDNS(serviceCIDRs []netip.Prefix, address netip.Addr) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if !slices.ContainsFunc(serviceCIDRs, func(p netip.Prefix) bool { return p.Contains(address) }) {
			return controller.Idle()
		}
		c := &kubeDNS{Env: e, address: address}
		return controller.Reconciler{Reconcile: c.reconcile, Run: e.EnqueueOnce(kubeDNSKey), Watches: []controller.Watch{
			{Kind: core.Namespace, Keys: c.onNamespace},
			{Kind: core.Service, Keys: c.onService},
		}}
	}
}

func (c *kubeDNS) onNamespace(old, current schema.Object) {
	if old == nil && current.GetName() == metav1.NamespaceSystem {
		c.Enqueue(kubeDNSKey, 0)
	}
}

func (c *kubeDNS) onService(old, current schema.Object) {
	if current == nil {
		current = old
	}
	if controller.KeyOf(current) == kubeDNSKey {
		c.Enqueue(kubeDNSKey, 0)
	}
}

func (c *kubeDNS) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	if _, err := registry.For[*corev1.Namespace](c.Registry).Cached(ctx, "", metav1.NamespaceSystem); err != nil {
		return 0, ignoreNotFound(err)
	}
	have, err := registry.For[*corev1.Service](c.Registry).Cached(ctx, metav1.NamespaceSystem, kubeDNSName)
	if ignoreNotFound(err) != nil {
		return 0, err
	}
	return 0, c.Execute(ctx, planKubeDNS(c.address, have))
}

// planKubeDNS decides the Service at address; have is nil where there is none. Pure.
func planKubeDNS(address netip.Addr, have *corev1.Service) []controller.Action {
	want := kubeDNSService(address)
	switch {
	case have == nil:
		return []controller.Action{{Do: controller.Create, Kind: core.Service, Object: want, Reason: "charts find the name server by it"}}
	case have.DeletionTimestamp != nil || have.Labels[proxyNameLabel] != dnsProxyName || equality.Semantic.DeepEqual(have.Spec.Ports, want.Spec.Ports):
		return nil
	}
	next := have.DeepCopy()
	next.Spec.Ports = want.Spec.Ports
	return []controller.Action{{Do: controller.Update, Kind: core.Service, Object: next, Reason: "its ports are not those of the name server"}}
}

func kubeDNSService(address netip.Addr) *corev1.Service {
	port := func(name string, protocol corev1.Protocol, number int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Protocol: protocol, Port: number, TargetPort: intstr.FromInt32(number)}
	}
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceSystem, Name: kubeDNSName,
			Labels: map[string]string{
				"k8s-app": kubeDNSName, "kubernetes.io/name": "CoreDNS", "kubernetes.io/cluster-service": "true", proxyNameLabel: dnsProxyName,
			},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone, ClusterIP: address.String(), ClusterIPs: []string{address.String()},
			Ports: []corev1.ServicePort{port("dns", corev1.ProtocolUDP, 53), port("dns-tcp", corev1.ProtocolTCP, 53), port("metrics", corev1.ProtocolTCP, 9153)},
		},
	}
}
