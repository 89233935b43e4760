package scheduler

import (
	"math"
	"slices"
)

// feasibleNode is a node that passed all filters.
type feasibleNode struct {
	node  *node
	index int   // in nodeList
	score int64 // weighted sum of all scores
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
	state := c.preFilter(sig)
	why := c.findFeasible(state)
	if len(c.feasible) == 0 {
		sig.lastFailure, sig.lastFailureVersion = why, c.version
		return nil, why
	}
	return c.prioritize(state), nil
}

// findFeasible sets c.feasible to the nodes that pass all filters, from nextStart on, and returns why the others do not.
func (c *clusterState) findFeasible(state *preFilterState) *explanation {
	c.feasible = c.feasible[:0]
	c.filters = state.activeFilters(c.filters[:0])
	why := &explanation{nodes: len(c.nodeList)}
	if len(c.nodeList) > 0 {
		c.nextStart %= len(c.nodeList)
	}
	for i := range c.nodeList {
		index := c.nextStart + i
		if index >= len(c.nodeList) {
			index -= len(c.nodeList)
		}
		n := c.nodeList[index]
		result := state.nodeResult(n)
		if result.reasons != nil {
			why.add(result.reasons, result.unresolvable)
			continue
		}
		if reasons, unresolvable := state.run(c.filters, n); reasons != nil {
			why.add(reasons, unresolvable)
			continue
		}
		c.feasible = append(c.feasible, feasibleNode{node: n, index: index, score: result.score})
	}
	return why
}

// prioritize returns the feasible node with the highest score.
func (c *clusterState) prioritize(state *preFilterState) *node {
	set, scores := c.plugins, c.scratchScores()
	width := len(set.nodeScores)
	for at, i := range set.nodeScores {
		if !state.signature.nodesDiffer[at] {
			continue
		}
		for j := range c.feasible {
			scores[j] = state.signature.nodeScores[c.feasible[j].node.slot*width+at]
		}
		c.addScores(&set.rows[i], scores)
	}
	for _, i := range set.clusterScores {
		own, skip := state.own(i)
		row := &set.rows[i]
		if skip || row.skipScore != nil && row.skipScore(own) {
			continue
		}
		for j := range c.feasible {
			scores[j] = row.score(state, own, c.feasible[j].node)
		}
		c.addScores(row, scores)
	}
	winner, top := 0, int64(math.MinInt64)
	for j := range c.feasible {
		if c.feasible[j].score > top {
			winner, top = j, c.feasible[j].score
		}
	}
	c.nextStart = c.feasible[winner].index + 1
	return c.feasible[winner].node
}

// scratchScores returns a slice with a place for every feasible node.
func (c *clusterState) scratchScores() []float64 {
	if cap(c.scores) < len(c.feasible) {
		c.scores = make([]float64, len(c.nodeList))
	}
	return c.scores[:len(c.feasible)]
}

// addScores adds a plug-in's scores to those of the feasible nodes. Equal scores do not change which node is the best.
func (c *clusterState) addScores(row *plugin, scores []float64) {
	if !slices.ContainsFunc(scores, func(score float64) bool { return score != scores[0] }) {
		return
	}
	if row.normalize != nil {
		row.normalize(scores)
	}
	for j := range scores {
		c.feasible[j].score += row.weight * int64(scores[j])
	}
}
