package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A cluster IP is claimed by an IPAddress (networking.k8s.io/v1) at /registry/ipaddresses/<ip>, as Kubernetes has it.

// clusterIP is the address that a Service's spec stands on; false: it has none.
func clusterIP(spec corev1.ServiceSpec) (string, bool) {
	a, err := netip.ParseAddr(spec.ClusterIP)
	if err != nil || spec.Type == corev1.ServiceTypeExternalName {
		return "", false
	}
	return a.String(), true
}

// fillAddress gives the Service the address it asks for, or one of the range.
func (c *claims) fillAddress(ctx context.Context, r *Registry, asked corev1.ServiceSpec, had map[string]bool) error {
	if asked.Type == corev1.ServiceTypeExternalName || asked.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	cidr := r.cfg.ServiceCIDR
	if !cidr.IsValid() || !cidr.Addr().Is4() {
		return &Error{
			Kind: Unavailable, Resource: "services", KindName: "Service", Name: c.owner.Name,
			Reason: "this process has no range of cluster IPs (--service-cluster-ip-range) and can store no Service that needs one",
		}
	}
	if ip, ok := clusterIP(asked); ok {
		if had[addressKey(ip)] {
			return nil
		}
		return c.askAddress(ctx, r, cidr, ip, asked)
	}
	n, ok, err := c.draw(ctx, r, addressPrefix, addresses(cidr),
		func(n int) string { return addressKey(addressAt(cidr, n).String()) },
		func(key string) (int, bool) { return addressOfKey(cidr, key) })
	if err != nil {
		return err
	}
	if !ok {
		return c.full("serviceIP")
	}
	c.svc.Spec.ClusterIP = addressAt(cidr, n).String()
	c.svc.Spec.ClusterIPs = []string{c.svc.Spec.ClusterIP}
	return nil
}

func (c *claims) askAddress(ctx context.Context, r *Registry, cidr netip.Prefix, ip string, asked corev1.ServiceSpec) error {
	refuse := func(why string) error {
		return c.invalid(field.NewPath("spec", "clusterIPs"), asked.ClusterIPs, fmt.Sprintf("failed to allocate IP %s: %s", ip, why))
	}
	n, ok := addressNumber(cidr, netip.MustParseAddr(ip))
	if !ok {
		return refuse(fmt.Sprintf("the provided IP (%s) is not in the valid range. The range of valid IPs is %s", ip, cidr))
	}
	kubernetes := owner{metav1.NamespaceDefault, "kubernetes"}
	if n == addresses(cidr).reserved && c.owner != kubernetes {
		return refuse("provided IP is already allocated")
	}
	ok, err := c.ask(ctx, r, addressKey(ip))
	if err != nil {
		return err
	}
	if !ok {
		return refuse("provided IP is already allocated")
	}
	return nil
}

func addressOfKey(cidr netip.Prefix, key string) (int, bool) {
	a, err := netip.ParseAddr(strings.TrimPrefix(key, addressPrefix))
	if err != nil {
		return 0, false
	}
	return addressNumber(cidr, a)
}

// value is what is stored at a claim's key.
func (c *claims) value(key string) ([]byte, error) {
	ip, is := strings.CutPrefix(key, addressPrefix)
	if !is {
		return json.Marshal(portClaim{"NodePort", c.owner.Namespace, c.owner.Name})
	}
	return json.Marshal(networkingv1.IPAddress{
		TypeMeta: metav1.TypeMeta{Kind: "IPAddress", APIVersion: "networking.k8s.io/v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: ip, UID: uuid.NewUUID(), CreationTimestamp: stamp(time.Now()), Generation: 1,
			Labels: map[string]string{
				networkingv1.LabelIPAddressFamily: string(corev1.IPv4Protocol),
				networkingv1.LabelManagedBy:       "ipallocator.k8s.io",
			},
		},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
			Resource: "services", Namespace: c.owner.Namespace, Name: c.owner.Name,
		}},
	})
}
