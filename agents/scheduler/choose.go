package scheduler

import "math"

// feasibleNode is a node that passed all filters, with its raw scores.
type feasibleNode struct {
	node      *node
	index     int // in nodeList
	result    *nodeResult
	spread    float64 // -1: the node lacks a label
	pods      int64
	hasSpread bool // false: spread is not scored
}

// selectNode returns the best node for a pod of sig, or why none fits. It is deterministic: of nodes with equal scores the first one
// after the last chosen wins.
func (c *clusterState) selectNode(sig *podSignature) (*node, *explanation) {
	if sig.fault != nil {
		return nil, &explanation{fault: sig.fault}
	}
	if sig.lastFailure != nil && sig.lastFailureVersion == c.version {
		return nil, sig.lastFailure
	}
	why := c.findFeasible(c.preFilter(sig))
	if len(c.feasible) == 0 {
		sig.lastFailure, sig.lastFailureVersion = why, c.version
		return nil, why
	}
	return c.prioritize(sig), nil
}

// findFeasible sets c.feasible to the nodes that pass all filters, from nextStart on, and returns why the others do not.
func (c *clusterState) findFeasible(state *preFilterState) *explanation {
	c.feasible = c.feasible[:0]
	why := &explanation{nodes: len(c.nodeList)}
	for i := range c.nodeList {
		index := (c.nextStart + i) % len(c.nodeList)
		n := c.nodeList[index]
		result := state.nodeResult(n)
		if result.reasons != nil {
			why.add(result.reasons, result.unresolvable)
			continue
		}
		if reasons, unresolvable := state.filterClusterWide(n); reasons != nil {
			why.add(reasons, unresolvable)
			continue
		}
		c.feasible = append(c.feasible, feasibleNode{node: n, index: index, result: result})
	}
	return why
}

// filterClusterWide runs the filters that look at more than the node.
func (state *preFilterState) filterClusterWide(n *node) ([]string, bool) {
	for i := range filters {
		if !filters[i].clusterWide {
			continue
		}
		if reasons, unresolvable := filters[i].filter(state, n); reasons != nil {
			return reasons, unresolvable
		}
	}
	return nil, false
}

// prioritize returns the feasible node with the highest score.
func (c *clusterState) prioritize(sig *podSignature) *node {
	b := c.scoreBounds(sig)
	winner, top := 0, int64(math.MinInt64)
	for i := range c.feasible {
		if score := c.feasible[i].totalScore(&b); score > top {
			winner, top = i, score
		}
	}
	c.nextStart = c.feasible[winner].index + 1
	return c.feasible[winner].node
}

// scoreBounds are the extremes of raw scores, by which they are normalized.
type scoreBounds struct {
	taints, node         int64
	spreadLow, spreadTop float64
	podsLow, podsTop     int64
}

func (c *clusterState) scoreBounds(sig *podSignature) scoreBounds {
	state := sig.preFilterState
	b := scoreBounds{spreadLow: math.MaxFloat64, podsLow: math.MaxInt64, podsTop: math.MinInt64}
	for i := range c.feasible {
		f := &c.feasible[i]
		b.taints, b.node = max(b.taints, f.result.taints), max(b.node, f.result.nodeAffinity)
		if f.spread, f.hasSpread = state.spreadScore(f.node); f.hasSpread {
			b.spreadLow, b.spreadTop = min(b.spreadLow, f.spread), max(b.spreadTop, f.spread)
		}
		f.pods = state.podScore(f.node)
		b.podsLow, b.podsTop = min(b.podsLow, f.pods), max(b.podsTop, f.pods)
	}
	return b
}

func (f *feasibleNode) totalScore(b *scoreBounds) int64 {
	score := f.result.score + weightTaints*maxNodeScore
	if b.taints > 0 {
		score -= weightTaints * maxNodeScore * f.result.taints / b.taints
	}
	if b.node > 0 {
		score += weightNode * maxNodeScore * f.result.nodeAffinity / b.node
	}
	switch {
	case !f.hasSpread:
	case b.spreadTop == 0:
		score += weightSpread * maxNodeScore
	default:
		score += weightSpread * int64(maxNodeScore*(b.spreadTop+b.spreadLow-f.spread)/b.spreadTop)
	}
	if b.podsTop > b.podsLow {
		score += weightPods * int64(maxNodeScore*float64(f.pods-b.podsLow)/float64(b.podsTop-b.podsLow))
	}
	return score
}
