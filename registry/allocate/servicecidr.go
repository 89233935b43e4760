package allocate

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"gantry/registry/store"
)

// addressRange is a range that cluster IPs are given out from.
type addressRange struct {
	netip.Prefix
	primary bool
	// object is the ServiceCIDR that the range is of, at its revision; no key: the range is configured.
	object store.Compare
}

// Families are the address families of ranges, the primary one first; IPv4 where there are none.
func Families(cidrs []netip.Prefix) (out []corev1.IPFamily) {
	for _, p := range cidrs {
		out = append(out, familyOfText(p.String()))
	}
	if len(out) == 0 {
		return []corev1.IPFamily{corev1.IPv4Protocol}
	}
	return out
}

// familyOfText is the family of a valid address or network.
func familyOfText(text string) corev1.IPFamily {
	if strings.Contains(text, ":") {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}

// ranges are the configured ranges, or those of ready ServiceCIDRs, of which no configured one has the addresses.
func (s Services) ranges(ctx context.Context, configured bool) (out []addressRange, err error) {
	if configured {
		for i, p := range s.CIDRs {
			out = append(out, addressRange{Prefix: p.Masked(), primary: i == 0})
		}
		return out, nil
	}
	kvs, _, _, err := s.Store.List(ctx, cidrPrefix, store.RangeEnd(cidrPrefix), 0, 0)
	if err != nil {
		return nil, err
	}
	for _, kv := range kvs {
		var obj networkingv1.ServiceCIDR
		if json.Unmarshal(kv.Value, &obj) != nil || obj.DeletionTimestamp != nil ||
			!meta.IsStatusConditionTrue(obj.Status.Conditions, networkingv1.ServiceCIDRConditionReady) {
			continue
		}
		for _, text := range obj.Spec.CIDRs {
			p, err := netip.ParsePrefix(text)
			if err != nil || slices.Contains(s.CIDRs, p.Masked()) {
				continue
			}
			out = append(out, addressRange{Prefix: p.Masked(), object: store.Compare{Key: kv.Key, Revision: kv.ModRevision}})
		}
	}
	return out, nil
}

// rangeOf is a range that has an address; false: there is none.
func (c *Claims) rangeOf(ctx context.Context, a netip.Addr) (addressRange, bool, error) {
	for _, configured := range []bool{true, false} {
		all, err := c.ranges(ctx, configured)
		if err != nil {
			return addressRange{}, false, err
		}
		if i := slices.IndexFunc(all, func(r addressRange) bool { return r.Contains(a) }); i >= 0 {
			return all[i], true, nil
		}
	}
	return addressRange{}, false, nil
}

// relyOn has the transaction run only while the ServiceCIDR of a range is as it is.
func (c *Claims) relyOn(r addressRange) {
	if r.object.Key != "" && !slices.Contains(c.relied, r.object) {
		c.relied = append(c.relied, r.object)
	}
}
