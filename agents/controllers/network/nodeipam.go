package network

import (
	"context"
	"encoding/binary"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

type nodeIPAM struct {
	*controller.Env
	clusterCIDRs []netip.Prefix
	mask4, mask6 int // the lengths of a node's prefixes
}

// MaxNodeBits is how many bits longer a node's prefix may be than the cluster's, as upstream has it.
const MaxNodeBits = 16

// NewNodeIPAM gives each node a part of each of clusterCIDRs, mask4 bits long or mask6 for IPv6; none: nodes get none. Its keys are names of
// nodes. One worker at a time: two could give out one range twice.
func NewNodeIPAM(clusterCIDRs []netip.Prefix, mask4, mask6 int) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := nodeIPAM{e, clusterCIDRs, mask4, mask6}
		if len(clusterCIDRs) == 0 {
			return controller.Idle()
		}
		return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: core.Node, Keys: func(old, current schema.Object) {
			if current != nil && current.(*corev1.Node).Spec.PodCIDR == "" {
				c.Enqueue(current.GetName(), 0)
			}
		}}}}
	}
}

// exhaustedRecheck is after how long it is tried again when every range is in use.
const exhaustedRecheck = 30 * time.Second

// reconcile gives a node its ranges, all at once: they are never changed.
func (c nodeIPAM) reconcile(ctx context.Context, name string) (time.Duration, error) {
	nodes := registry.For[*corev1.Node](c.Registry)
	node, err := nodes.Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil || node.Spec.PodCIDR != "" || node.DeletionTimestamp != nil {
		return 0, err
	}
	all, err := nodes.CachedList(ctx, "", "")
	if err != nil {
		return 0, err
	}
	var ranges []string
	for _, cluster := range c.clusterCIDRs {
		bits := c.mask4
		if cluster.Addr().Is6() {
			bits = c.mask6
		}
		free, ok := freeCIDR(cluster, bits, all)
		if !ok {
			c.Events.Event(core.Node, node, "Warning", "CIDRNotAvailable", "Node %s status is now: CIDRNotAvailable", name)
			return exhaustedRecheck, nil
		}
		ranges = append(ranges, free.String())
	}
	n := node.DeepCopy()
	n.Spec.PodCIDR, n.Spec.PodCIDRs = ranges[0], ranges
	return 0, c.Execute(ctx, []controller.Action{{Do: controller.Update, Kind: core.Node, Object: n, Reason: "gets the pod ranges " + strings.Join(ranges, ", ")}})
}

// freeCIDR is the lowest part of cluster, bits long, that no node's range overlaps.
func freeCIDR(cluster netip.Prefix, bits int, nodes []*corev1.Node) (netip.Prefix, bool) {
	used := map[netip.Prefix]bool{}
	var others []netip.Prefix // ranges of another length, given by hand or before a change of the mask
	for _, n := range nodes {
		for _, s := range append([]string{n.Spec.PodCIDR}, n.Spec.PodCIDRs...) {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				continue
			}
			if p = p.Masked(); p.Bits() == bits {
				used[p] = true
			} else {
				others = append(others, p)
			}
		}
	}
	for i := range 1 << min(bits-cluster.Bits(), MaxNodeBits) {
		p := part(cluster, bits, i)
		if used[p] || overlapsAny(p, others) {
			continue
		}
		return p, true
	}
	return netip.Prefix{}, false
}

func overlapsAny(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if o.Overlaps(p) {
			return true
		}
	}
	return false
}

// part is the i-th prefix of length bits in cluster.
func part(cluster netip.Prefix, bits, i int) netip.Prefix {
	a := cluster.Masked().Addr()
	if a.Is4() {
		b := a.As4()
		n := binary.BigEndian.Uint32(b[:]) + uint32(uint64(i)<<(32-bits))
		binary.BigEndian.PutUint32(b[:], n)
		return netip.PrefixFrom(netip.AddrFrom4(b), bits)
	}
	b := a.As16()
	n := new(big.Int).SetBytes(b[:])
	n.Add(n, new(big.Int).Lsh(big.NewInt(int64(i)), uint(128-bits)))
	n.FillBytes(b[:])
	return netip.PrefixFrom(netip.AddrFrom16(b), bits)
}
