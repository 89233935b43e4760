package framework

// nodeResult is what the filters and scores that look at one node alone returned for a signature.
type nodeResult struct {
	node       *NodeInfo // may be another one than has the slot now
	generation int64
	Rejection
	score int64 // weighted sum of the scores that need no normalizing
}

// nodeResult returns the result of a node and computes it again when the node has changed.
func (state *PreFilterState) nodeResult(n *NodeInfo) *nodeResult {
	sig := state.Signature
	for n.Slot >= len(sig.nodeResults) {
		sig.nodeResults = append(sig.nodeResults, make([]nodeResult, n.Slot+1)...)
	}
	result := &sig.nodeResults[n.Slot]
	if result.node == n && result.generation == n.generation {
		return result
	}
	fresh := nodeResult{node: n, generation: n.generation, Rejection: state.FilterNode(n)}
	if fresh.Reasons == nil {
		fresh.score = state.scoreNode(n)
	}
	*result = fresh // only now: a panic leaves no result
	return result
}

// Unresolvable returns whether a filter rejects n and evicting pods from it would not help.
func (state *PreFilterState) Unresolvable(n *NodeInfo) bool {
	if r := state.nodeResult(n).Rejection; r.Reasons != nil {
		return r.Unresolvable
	}
	return state.FilterClusterWide(n).Unresolvable
}

// scoreNode runs the scores that look at n alone. It returns the weighted sum of those that need no normalizing and keeps the others in
// the signature's nodeScores.
func (state *PreFilterState) scoreNode(n *NodeInfo) (sum int64) {
	set, sig := state.Signature.Plugins, state.Signature
	for _, i := range set.fixedScores {
		if own, skip := state.Own(i); !skip {
			sum += set.rows[i].Weight * int64(set.rows[i].Score(state, own, n))
		}
	}
	width := len(set.nodeScores)
	if need := len(sig.nodeResults) * width; len(sig.nodeScores) < need {
		sig.nodeScores = append(sig.nodeScores, make([]float64, need-len(sig.nodeScores))...)
	}
	if sig.nodesDiffer == nil {
		sig.nodesDiffer = make([]bool, width)
	}
	for at, i := range set.nodeScores {
		if own, skip := state.Own(i); !skip {
			score := set.rows[i].Score(state, own, n)
			sig.nodeScores[n.Slot*width+at] = score
			sig.nodesDiffer[at] = sig.nodesDiffer[at] || score != 0
		}
	}
	return sum
}
