package scheduler

import corev1 "k8s.io/api/core/v1"

// The weights of the scores, each of which is 0 to maxNodeScore.
const (
	weightLeastAllocated = 1 // NodeResourcesFit, least allocated
	weightBalanced       = 1
	weightImages         = 1
	weightTaints         = 3
	weightNode           = 2 // preferred node affinity
	weightSpread         = 2
	weightPods           = 2 // preferred pod affinity
)

// maxNodeScore is the best score of one plug-in.
const maxNodeScore = 100

// nodeResult is what the filters and scores that look at one node alone returned for a signature.
type nodeResult struct {
	node         *node // may be another one than has the slot now
	generation   int64
	reasons      []string // nil: the node fits
	unresolvable bool
	score        int64 // weighted: least allocated, balanced, images
	taints       int64 // untolerated PreferNoSchedule taints
	nodeAffinity int64 // weights of the preferred node affinity terms that match
}

// nodeResult returns the result of a node and computes it again when the node has changed.
func (state *preFilterState) nodeResult(n *node) *nodeResult {
	for n.slot >= len(state.signature.nodeResults) {
		state.signature.nodeResults = append(state.signature.nodeResults, make([]nodeResult, n.slot+1)...)
	}
	result := &state.signature.nodeResults[n.slot]
	if result.node != n || result.generation != n.generation {
		*result = state.evaluate(n)
	}
	return result
}

// evaluate runs the filters and scores that look at n alone.
func (state *preFilterState) evaluate(n *node) nodeResult {
	result := nodeResult{node: n, generation: n.generation}
	for i := range filters {
		if filters[i].clusterWide {
			continue
		}
		if result.reasons, result.unresolvable = filters[i].filter(state, n); result.reasons != nil {
			return result
		}
	}
	cpu, memory := n.scoredCPU+state.signature.scoredCPU, n.scoredMemory+state.signature.scoredMemory
	result.score = weightLeastAllocated*leastAllocated(cpu, memory, &n.allocatable) +
		weightBalanced*balancedAllocation(n.requested.cpu+state.signature.requests.cpu, n.requested.memory+state.signature.requests.memory, &n.allocatable) +
		weightImages*state.imageScore(n)
	for i := range n.object.Spec.Taints {
		if t := &n.object.Spec.Taints[i]; t.Effect == corev1.TaintEffectPreferNoSchedule && !tolerates(state.signature.tolerations, t) {
			result.taints++
		}
	}
	if state.signature.preferredNodeAffinity != nil {
		result.nodeAffinity = state.signature.preferredNodeAffinity.Score(n.object)
	}
	return result
}
