package scheduler

import "math"

// candidate is a node that fits, with its scores before they are made comparable.
type candidate struct {
	node   *node
	at     int // in the world's order
	v      *verdict
	spread float64 // -1: the node lacks a label
	pods   int64
	own    bool // spread counts
}

// choose finds the best node for a pod of c; without one it explains why. The result is decided by the world alone:
// of equal nodes the first after the last chosen one wins.
func (w *world) choose(c *class) (*node, *explanation) {
	if c.fault != nil {
		return nil, &explanation{fault: c.fault}
	}
	if c.stuck != nil && c.stuckAt == w.version {
		return nil, c.stuck
	}
	why := w.filter(w.use(c))
	if len(w.candidates) == 0 {
		c.stuck, c.stuckAt = why, w.version
		return nil, why
	}
	return w.best(c), nil
}

// filter leaves the nodes that fit in w.candidates, in the order of turns, and returns why the others don't.
func (w *world) filter(y *cycle) *explanation {
	w.candidates = w.candidates[:0]
	why := &explanation{nodes: len(w.order)}
	for i := range w.order {
		at := (w.turn + i) % len(w.order)
		n := w.order[at]
		v := y.verdict(n)
		if v.reasons != nil {
			why.add(v.reasons, v.hopeless)
			continue
		}
		if reasons, hopeless := y.beyond(n); reasons != nil {
			why.add(reasons, hopeless)
			continue
		}
		w.candidates = append(w.candidates, candidate{node: n, at: at, v: v})
	}
	return why
}

// beyond asks the filters that look further than the node.
func (y *cycle) beyond(n *node) ([]string, bool) {
	for i := range filters {
		if !filters[i].beyond {
			continue
		}
		if reasons, hopeless := filters[i].explain(y, n); reasons != nil {
			return reasons, hopeless
		}
	}
	return nil, false
}

// best scores w.candidates and takes a turn.
func (w *world) best(c *class) *node {
	b := w.bounds(c)
	winner, top := 0, int64(math.MinInt64)
	for i := range w.candidates {
		if score := w.candidates[i].total(&b); score > top {
			winner, top = i, score
		}
	}
	w.turn = w.candidates[winner].at + 1
	return w.candidates[winner].node
}

// bounds are the extremes by which scores are made comparable.
type bounds struct {
	taints, node         int64
	spreadLow, spreadTop float64
	podsLow, podsTop     int64
}

func (w *world) bounds(c *class) bounds {
	y := c.cycle
	b := bounds{spreadLow: math.MaxFloat64, podsLow: math.MaxInt64, podsTop: math.MinInt64}
	for i := range w.candidates {
		k := &w.candidates[i]
		b.taints, b.node = max(b.taints, k.v.taints), max(b.node, k.v.node)
		if k.spread, k.own = y.spreadScore(k.node); k.own {
			b.spreadLow, b.spreadTop = min(b.spreadLow, k.spread), max(b.spreadTop, k.spread)
		}
		k.pods = y.podScore(k.node)
		b.podsLow, b.podsTop = min(b.podsLow, k.pods), max(b.podsTop, k.pods)
	}
	return b
}

func (k *candidate) total(b *bounds) int64 {
	score := k.v.score + weightTaints*full
	if b.taints > 0 {
		score -= weightTaints * full * k.v.taints / b.taints
	}
	if b.node > 0 {
		score += weightNode * full * k.v.node / b.node
	}
	switch {
	case !k.own:
	case b.spreadTop == 0:
		score += weightSpread * full
	default:
		score += weightSpread * int64(full*(b.spreadTop+b.spreadLow-k.spread)/b.spreadTop)
	}
	if b.podsTop > b.podsLow {
		score += weightPods * int64(full*float64(k.pods-b.podsLow)/float64(b.podsTop-b.podsLow))
	}
	return score
}
