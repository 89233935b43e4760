package lifecycle

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
)

// evictionLimiter keeps one fault, this process's or the network's, from emptying a cluster. Nodes get their NoExecute taint one
// by one; slower, or not at all in a small cluster, when most of a zone is not ready; never when no node of the cluster is ready.
type evictionLimiter struct {
	mu    sync.Mutex // guards zones
	zones map[string]*rate.Limiter
}

const (
	evictionRate          = rate.Limit(0.1)  // nodes a second
	secondaryEvictionRate = rate.Limit(0.01) // in a zone that is mostly not ready
	unhealthyZone         = 0.55             // from this share of nodes that are not ready
	smallCluster          = 50               // up to as many nodes the secondary rate is 0
	limitedRecheck        = 10 * time.Second // until a node that was refused is reconciled again
)

func newEvictionLimiter() *evictionLimiter {
	return &evictionLimiter{zones: map[string]*rate.Limiter{}}
}

// allow tells whether a node may carry a NoExecute taint, and after how long to ask again where it may not. unreachable:
// it is about to be marked as not ready.
func (l *evictionLimiter) allow(node *corev1.Node, unreachable bool, all []*corev1.Node, now time.Time) (bool, time.Duration) {
	if !unreachable && nodeReady(node) {
		return true, 0 // there is nothing to add
	}
	limit := zoneLimit(zoneOf(node), node.Name, all)
	switch {
	case limit < 0: // no node is ready: the fault is more likely on this side
		return false, limitedRecheck
	case slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return managedTaint(t) && t.Effect == corev1.TaintEffectNoExecute }):
		return true, 0
	case limit == 0:
		return false, limitedRecheck
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	zone := l.zones[zoneOf(node)]
	if zone == nil {
		zone = rate.NewLimiter(limit, 1)
		l.zones[zoneOf(node)] = zone
	}
	zone.SetLimitAt(now, limit)
	if !zone.AllowN(now, 1) {
		return false, limitedRecheck
	}
	return true, 0
}

func zoneOf(n *corev1.Node) string {
	return n.Labels[corev1.LabelTopologyRegion] + ":" + n.Labels[corev1.LabelTopologyZone]
}

// zoneLimit is the rate at which nodes of a zone may get the taint, given that the node named candidate is not ready; 0: not now;
// below 0: a node that has it already loses it.
func zoneLimit(zone, candidate string, all []*corev1.Node) rate.Limit {
	ready, inZone, down := 0, 0, 0
	for _, n := range all {
		ok := nodeReady(n) && n.Name != candidate
		if ok {
			ready++
		}
		if zoneOf(n) == zone {
			inZone++
			if !ok {
				down++
			}
		}
	}
	switch {
	case ready == 0:
		return -1
	case down == inZone:
		return evictionRate // the whole zone is down and others are not: its pods are to run there
	case down > 2 && float64(down)/float64(inZone) >= unhealthyZone:
		if len(all) <= smallCluster {
			return 0
		}
		return secondaryEvictionRate
	}
	return evictionRate
}
