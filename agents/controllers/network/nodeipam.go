package network

import (
	"context"
	"encoding/binary"
	"errors"
	"math/big"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

type nodeIPAM struct {
	*controller.Env
	clusterCIDR netip.Prefix
	maskSize    int // the length of a node's prefix
}

// NewNodeIPAM gives each node a part, maskSize bits long, of clusterCIDR; not valid: none. Its keys are names of nodes. One worker at a time:
// two could give out one range twice.
func NewNodeIPAM(clusterCIDR netip.Prefix, maskSize int) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := nodeIPAM{e, clusterCIDR, maskSize}
		if !clusterCIDR.IsValid() {
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

// reconcile gives a node its range; a range is never changed.
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
	free, ok := freeCIDR(c.clusterCIDR, c.maskSize, all)
	if !ok {
		c.Events.Event(core.Node, node, "Warning", "CIDRNotAvailable", "Node %s status is now: CIDRNotAvailable", name)
		return exhaustedRecheck, nil
	}
	n := node.DeepCopy()
	n.Spec.PodCIDR, n.Spec.PodCIDRs = free.String(), []string{free.String()}
	return 0, c.Execute(ctx, []controller.Action{{Do: controller.Update, Kind: core.Node, Object: n, Reason: "gets the pod range " + free.String()}})
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
	for i := range 1 << min(bits-cluster.Bits(), 16) {
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
