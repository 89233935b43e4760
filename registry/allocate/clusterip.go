package allocate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
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

// clusterIPs are the addresses that a Service's spec claims, in canonical form.
func clusterIPs(spec corev1.ServiceSpec) (out []string) {
	if spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	texts := spec.ClusterIPs
	if len(texts) == 0 {
		texts = []string{spec.ClusterIP}
	}
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, a.String())
		}
	}
	return out
}

// fillAddresses allocates an address of each family of the Service: the one that it names, or one of the family's ranges.
func (c *Claims) fillAddresses(ctx context.Context) error {
	asked := c.asked
	if asked.Type == corev1.ServiceTypeExternalName || asked.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	ips := slices.Clone(asked.ClusterIPs)
	if len(ips) == 0 && asked.ClusterIP != "" {
		ips = []string{asked.ClusterIP}
	}
	for len(ips) < max(1, len(asked.IPFamilies)) {
		ips = append(ips, "")
	}
	for i, ip := range ips {
		var err error
		switch a, bad := netip.ParseAddr(ip); {
		case ip == "":
			ips[i], err = c.drawAddress(ctx, c.isIPv4(i))
		case bad == nil && !c.had[addressKey(a.String())]:
			err = c.takeAddress(ctx, a, ips)
		}
		if err != nil {
			return err
		}
	}
	c.svc.Spec.ClusterIP, c.svc.Spec.ClusterIPs = ips[0], ips
	return nil
}

// isIPv4 tells of which family the Service's i-th address is.
func (c *Claims) isIPv4(i int) bool {
	if i < len(c.asked.IPFamilies) {
		return c.asked.IPFamilies[i] == corev1.IPv4Protocol
	}
	return Families(c.CIDRs)[0] == corev1.IPv4Protocol
}

// drawAddress takes a free address of a family, of the first range that has one.
func (c *Claims) drawAddress(ctx context.Context, is4 bool) (string, error) {
	if len(c.CIDRs) == 0 {
		return "", noRanges()
	}
	fromConfigured := true
	for {
		all, err := c.ranges(ctx, fromConfigured)
		if err != nil {
			return "", err
		}
		for _, r := range all {
			if r.Addr().Is4() != is4 {
				continue
			}
			n, ok, err := c.draw(ctx, addresses(r.Prefix, r.primary))
			if err != nil {
				return "", err
			}
			if ok {
				c.relyOn(r)
				return addressAt(r.Prefix, n).String(), nil
			}
		}
		if !fromConfigured {
			return "", usedUp("serviceIP")
		}
		fromConfigured = false
	}
}

func noRanges() error {
	return &store.Error{
		Kind:   store.Unavailable,
		Reason: "this process has no range of cluster IPs (--service-cluster-ip-range) and can store no Service that needs one",
	}
}

// takeAddress takes an address that the client asked for by name; asked are all of them.
func (c *Claims) takeAddress(ctx context.Context, a netip.Addr, asked []string) error {
	if len(c.CIDRs) == 0 {
		return noRanges()
	}
	refused := func(why string) error {
		return refuse(field.NewPath("spec", "clusterIPs"), slices.Clone(asked), fmt.Sprintf("failed to allocate IP %s: %s", a, why))
	}
	r, ok, err := c.rangeOf(ctx, a)
	switch {
	case err != nil:
		return err
	case !ok:
		return refused("the provided network does not match the current range")
	case !isUsable(r.Prefix, a):
		return refused(fmt.Sprintf("the provided IP (%s) is not in the valid range. The range of valid IPs is %s", a, r.Prefix))
	}
	kubernetes := types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}
	if r.primary && a == r.Addr().Next() && c.owner != kubernetes {
		return refused("provided IP is already allocated")
	}
	if ok, err = c.takeKey(ctx, addressKey(a.String())); err != nil {
		return err
	}
	if !ok {
		return refused("provided IP is already allocated")
	}
	c.relyOn(r)
	return nil
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
				networkingv1.LabelIPAddressFamily: string(familyOfText(ip)),
				networkingv1.LabelManagedBy:       "ipallocator.k8s.io",
			},
		},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
			Resource: "services", Namespace: owner.Namespace, Name: owner.Name,
		}},
	})
}
