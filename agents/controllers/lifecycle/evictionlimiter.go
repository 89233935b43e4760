package lifecycle

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
)

// evictionLimiter keep one fault, ours or the network's, from emptying a cluster. Nodes lose their pods one by one; slower, or not
// at all in a small cluster, when most of a zone is not ready; never when no node of the cluster is.
type evictionLimiter struct {
	mu    sync.Mutex // guards zones
	zones map[string]*rate.Limiter
}

const (
	evictionRate     = rate.Limit(0.1)  // nodes a second
	slowEvictionRate = rate.Limit(0.01) // in a zone that is mostly not ready
	unhealthyZone    = 0.55             // from this share of nodes that are not ready
	smallCluster     = 50               // up to as many nodes the slow rate is none
	brakedFor        = 10 * time.Second // until another look
)

func newEvictionLimiter() *evictionLimiter {
	return &evictionLimiter{zones: map[string]*rate.Limiter{}}
}

// allow tells whether a node may carry a NoExecute taint, and after how long to ask again where it may not. silent: it is
// about to be taken for not ready.
func (b *evictionLimiter) allow(node *corev1.Node, silent bool, all []*corev1.Node, now time.Time) (bool, time.Duration) {
	if !silent && nodeReady(node) {
		return true, 0 // there is nothing to add
	}
	limit := zoneLimit(zoneOf(node), node.Name, all)
	switch {
	case limit < 0: // no node is ready: more likely it is us
		return false, brakedFor
	case slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return ours(t) && t.Effect == corev1.TaintEffectNoExecute }):
		return true, 0
	case limit == 0:
		return false, brakedFor
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.zones[zoneOf(node)]
	if l == nil {
		l = rate.NewLimiter(limit, 1)
		b.zones[zoneOf(node)] = l
	}
	l.SetLimitAt(now, limit)
	if !l.AllowN(now, 1) {
		return false, brakedFor
	}
	return true, 0
}

func zoneOf(n *corev1.Node) string {
	return n.Labels[corev1.LabelTopologyRegion] + ":" + n.Labels[corev1.LabelTopologyZone]
}

// zoneLimit is the rate at which nodes of a zone may be emptied, given that the node named suspect is not ready; 0: not
// now; below 0: not even those that are tainted already.
func zoneLimit(zone, suspect string, all []*corev1.Node) rate.Limit {
	ready, inZone, down := 0, 0, 0
	for _, n := range all {
		ok := nodeReady(n) && n.Name != suspect
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
		return evictionRate // the zone is gone and others are not: its pods are wanted there
	case down > 2 && float64(down)/float64(inZone) >= unhealthyZone:
		if len(all) <= smallCluster {
			return 0
		}
		return slowEvictionRate
	}
	return evictionRate
}
