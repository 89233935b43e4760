package scheduler

func filterNodeAffinity(state *preFilterState, _ any, n *node) ([]string, bool) {
	if ok, err := state.signature.requiredNodeAffinity.Match(n.object); !ok || err != nil {
		return []string{"node(s) didn't match Pod's node affinity/selector"}, true
	}
	return nil, false
}

// scoreNodeAffinity returns the sum of the weights of the preferred terms that match.
func scoreNodeAffinity(state *preFilterState, _ any, n *node) float64 {
	if state.signature.preferredNodeAffinity == nil {
		return 0
	}
	return float64(state.signature.preferredNodeAffinity.Score(n.object))
}
