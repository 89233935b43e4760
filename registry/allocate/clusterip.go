package allocate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gantry/registry/store"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// clusterIP is the address that a Service's spec claims; false: it has none.
func clusterIP(spec corev1.ServiceSpec) (string, bool) {
	a, err := netip.ParseAddr(spec.ClusterIP)
	if err != nil || spec.Type == corev1.ServiceTypeExternalName {
		return "", false
	}
	return a.String(), true
}

// fillAddress allocates the address that the Service names, or one of the range.
func (c *Claims) fillAddress(ctx context.Context) error {
	asked, cidr := c.asked, c.CIDR
	if asked.Type == corev1.ServiceTypeExternalName || asked.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	if !cidr.IsValid() || !cidr.Addr().Is4() {
		return &store.Error{
			Kind:   store.Unavailable,
			Reason: "this process has no range of cluster IPs (--service-cluster-ip-range) and can store no Service that needs one",
		}
	}
	if ip, ok := clusterIP(asked); ok {
		if c.had[addressKey(ip)] {
			return nil
		}
		return c.takeAddress(ctx, ip)
	}
	n, ok, err := c.draw(ctx, addressPrefix, addresses(cidr),
		func(n int) string { return addressKey(addressAt(cidr, n).String()) },
		func(key string) (int, bool) { return addressOfKey(cidr, key) })
	if err != nil {
		return err
	}
	if !ok {
		return usedUp("serviceIP")
	}
	c.svc.Spec.ClusterIP = addressAt(cidr, n).String()
	c.svc.Spec.ClusterIPs = []string{c.svc.Spec.ClusterIP}
	return nil
}

// takeAddress takes an address that the client asked for by name.
func (c *Claims) takeAddress(ctx context.Context, ip string) error {
	refused := func(why string) error {
		return refuse(field.NewPath("spec", "clusterIPs"), c.asked.ClusterIPs, fmt.Sprintf("failed to allocate IP %s: %s", ip, why))
	}
	cidr := c.CIDR
	if !cidr.Contains(netip.MustParseAddr(ip)) {
		return refused("the provided network does not match the current range")
	}
	n, ok := addressNumber(cidr, netip.MustParseAddr(ip))
	if !ok {
		return refused(fmt.Sprintf("the provided IP (%s) is not in the valid range. The range of valid IPs is %s", ip, cidr))
	}
	kubernetes := types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}
	if n == addresses(cidr).reserved && c.owner != kubernetes {
		return refused("provided IP is already allocated")
	}
	ok, err := c.takeKey(ctx, addressKey(ip))
	if err != nil {
		return err
	}
	if !ok {
		return refused("provided IP is already allocated")
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

// valueOf is what is stored at a key that owner claims.
func valueOf(key string, owner types.NamespacedName) ([]byte, error) {
	ip, is := strings.CutPrefix(key, addressPrefix)
	if !is {
		return json.Marshal(portClaim{"NodePort", owner.Namespace, owner.Name})
	}
	return json.Marshal(networkingv1.IPAddress{
		TypeMeta: metav1.TypeMeta{Kind: "IPAddress", APIVersion: "networking.k8s.io/v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: ip, UID: uuid.NewUUID(), CreationTimestamp: metav1.NewTime(time.Now()).Rfc3339Copy(),
			Labels: map[string]string{
				networkingv1.LabelIPAddressFamily: string(corev1.IPv4Protocol),
				networkingv1.LabelManagedBy:       "ipallocator.k8s.io",
			},
		},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
			Resource: "services", Namespace: owner.Namespace, Name: owner.Name,
		}},
	})
}
