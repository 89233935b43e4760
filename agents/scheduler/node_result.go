package scheduler

// nodeResult is what the filters and scores that look at one node alone returned for a signature.
type nodeResult struct {
	node         *node // may be another one than has the slot now
	generation   int64
	reasons      []string // nil: the node fits
	unresolvable bool
	score        int64 // weighted sum of the scores that need no normalizing
}

// nodeResult returns the result of a node and computes it again when the node has changed.
func (state *preFilterState) nodeResult(n *node) *nodeResult {
	sig := state.signature
	for n.slot >= len(sig.nodeResults) {
		sig.nodeResults = append(sig.nodeResults, make([]nodeResult, n.slot+1)...)
	}
	result := &sig.nodeResults[n.slot]
	if result.node == n && result.generation == n.generation {
		return result
	}
	*result = nodeResult{node: n, generation: n.generation}
	if result.reasons, result.unresolvable = state.filterNode(n); result.reasons == nil {
		result.score = state.scoreNode(n)
	}
	return result
}

// scoreNode runs the scores that look at n alone. It returns the weighted sum of those that need no normalizing and keeps the others in
// the signature's nodeScores.
func (state *preFilterState) scoreNode(n *node) (sum int64) {
	set, sig := state.cluster.plugins, state.signature
	for _, i := range set.fixedScores {
		if own, skip := state.own(i); !skip {
			sum += set.rows[i].weight * int64(set.rows[i].score(state, own, n))
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
		if own, skip := state.own(i); !skip {
			score := set.rows[i].score(state, own, n)
			sig.nodeScores[n.slot*width+at] = score
			sig.nodesDiffer[at] = sig.nodesDiffer[at] || score != 0
		}
	}
	return sum
}
