package framework

import (
	"math"
	"slices"
)

// feasibleNode is a node that passed all filters.
type feasibleNode struct {
	node  *NodeInfo
	index int   // in NodeList
	score int64 // weighted sum of all scores
}

// SelectNode returns the best node for a pod of sig, or why none fits. It is deterministic: of nodes with equal scores the first one
// after the last chosen wins.
func (c *ClusterState) SelectNode(sig *PodSignature) (*NodeInfo, *Explanation) {
	if sig.fault != nil {
		return nil, &Explanation{Fault: sig.fault}
	}
	if sig.lastFailure != nil && sig.lastFailureVersion == c.Version {
		return nil, sig.lastFailure
	}
	state := c.PreFilter(sig)
	why := c.findFeasible(state)
	if len(c.feasible) == 0 {
		sig.lastFailure, sig.lastFailureVersion = why, c.Version
		return nil, why
	}
	return c.prioritize(state), nil
}

// findFeasible sets c.feasible to the nodes that pass all filters, from NextStart on, and returns why the others do not.
func (c *ClusterState) findFeasible(state *PreFilterState) *Explanation {
	c.feasible = c.feasible[:0]
	c.filters = state.activeFilters(c.filters[:0])
	why := &Explanation{Nodes: len(c.NodeList)}
	if len(c.NodeList) > 0 {
		c.NextStart %= len(c.NodeList)
	}
	var rejection Rejection
	for i := range c.NodeList {
		index := c.NextStart + i
		if index >= len(c.NodeList) {
			index -= len(c.NodeList)
		}
		n := c.NodeList[index]
		result := state.nodeResult(n)
		if result.Reasons != nil {
			why.add(&result.Rejection)
			continue
		}
		if state.rejects(c.filters, n, &rejection) {
			why.add(&rejection)
			continue
		}
		c.feasible = append(c.feasible, feasibleNode{node: n, index: index, score: result.score})
	}
	return why
}

// prioritize returns the feasible node with the highest score.
func (c *ClusterState) prioritize(state *PreFilterState) *NodeInfo {
	set, scores := state.Signature.Plugins, c.scratchScores()
	width := len(set.nodeScores)
	for at, i := range set.nodeScores {
		if !state.Signature.nodesDiffer[at] {
			continue
		}
		for j := range c.feasible {
			scores[j] = state.Signature.nodeScores[c.feasible[j].node.Slot*width+at]
		}
		c.addScores(&set.rows[i], scores)
	}
	for _, i := range set.clusterScores {
		own, skip := state.Own(i)
		row := &set.rows[i]
		if skip || row.SkipScore != nil && row.SkipScore(own) {
			continue
		}
		for j := range c.feasible {
			scores[j] = row.Score(state, own, c.feasible[j].node)
		}
		c.addScores(row, scores)
	}
	winner, top := 0, int64(math.MinInt64)
	for j := range c.feasible {
		if c.feasible[j].score > top {
			winner, top = j, c.feasible[j].score
		}
	}
	c.NextStart = c.feasible[winner].index + 1
	return c.feasible[winner].node
}

// scratchScores returns a slice with a place for every feasible node.
func (c *ClusterState) scratchScores() []float64 {
	if cap(c.scores) < len(c.feasible) {
		c.scores = make([]float64, len(c.NodeList))
	}
	return c.scores[:len(c.feasible)]
}

// addScores adds a plug-in's scores to those of the feasible nodes. Equal scores do not change which node is the best.
func (c *ClusterState) addScores(row *Plugin, scores []float64) {
	if !slices.ContainsFunc(scores, func(score float64) bool { return score != scores[0] }) {
		return
	}
	if row.Normalize != nil {
		row.Normalize(scores)
	}
	for j := range scores {
		c.feasible[j].score += row.Weight * int64(scores[j])
	}
}
