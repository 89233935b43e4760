package scheduler

func filterPodAffinity(state *preFilterState, n *node) ([]string, bool) {
	if !state.satisfiesRequiredAffinity(n) {
		return []string{"node(s) didn't match pod affinity rules"}, true
	}
	for i := range state.signature.requiredAntiAffinity {
		if value, ok := n.label(state.signature.requiredAntiAffinity[i].topologyKey); ok && state.antiAffinityCounts[state.signature.requiredAntiAffinity[i].topologyKey][value] > 0 {
			return []string{"node(s) didn't match pod anti-affinity rules"}, false
		}
	}
	if len(state.existingAntiAffinityCounts) == 0 {
		return nil, false
	}
	for key, pods := range state.existingAntiAffinityCounts {
		if value, ok := n.label(key); ok && pods[value] > 0 {
			return []string{"node(s) didn't satisfy existing pods anti-affinity rules"}, false
		}
	}
	return nil, false
}

// satisfiesRequiredAffinity returns whether every required affinity term has a matching pod in n's domain. A pod that matches its own terms
// may go to any node with the labels while no other pod matches them: otherwise the first pod of a group could never start.
func (state *preFilterState) satisfiesRequiredAffinity(n *node) bool {
	satisfied := true
	for i := range state.signature.requiredAffinity {
		value, ok := n.label(state.signature.requiredAffinity[i].topologyKey)
		if !ok {
			return false
		}
		satisfied = satisfied && state.affinityCounts[i][value] > 0
	}
	return satisfied || state.affinityMatches == 0 && allTermsMatch(state.signature.requiredAffinity, state.signature, state.cluster.namespaces)
}

// podScore is the sum of the preferred affinity weights in n's domains.
func (state *preFilterState) podScore(n *node) (score int64) {
	if len(state.topologyScores) == 0 {
		return 0
	}
	for key, weights := range state.topologyScores {
		if value, ok := n.label(key); ok {
			score += weights[value]
		}
	}
	return score
}
