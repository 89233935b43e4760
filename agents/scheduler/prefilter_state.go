package scheduler

// topologyCounts are counts by node label and value.
type topologyCounts map[string]map[string]int64

func (counts topologyCounts) add(key, value string, by int64) {
	if counts[key] == nil {
		counts[key] = map[string]int64{}
	}
	counts[key][value] += by
}

// preFilterState holds, for one pod signature, the counts over all nodes that topology spreading and inter-pod affinity need. It is made
// once and kept up to date as pods come and go; a change of nodes or namespaces drops it.
type preFilterState struct {
	cluster   *clusterState
	signature *podSignature

	topology                   []topologyDomains // by spread constraint
	existingAntiAffinityCounts topologyCounts    // pods whose required anti-affinity matches the signature
	antiAffinityCounts         topologyCounts    // pods that the signature's required anti-affinity matches
	affinityCounts             []map[string]int  // by required affinity term: pods that match all terms, by label value
	affinityMatches            int               // sum of affinityCounts
	topologyScores             topologyCounts    // weights of preferred affinity, both ways

	matches map[*podSignature]*signatureMatch
}

// signatureMatch is what a pod of another signature counts for.
type signatureMatch struct {
	spreadConstraints    []int    // indexes of the constraints that count it
	existingAntiAffinity []string // topology keys of its anti-affinity terms that match
	antiAffinity         []string // topology keys of the signature's anti-affinity terms that match it
	requiredAffinity     bool     // it matches all required affinity terms
	preferred            []weightedKey
}

type weightedKey struct {
	key    string
	weight int64
}

// hardAffinityWeight is the weight of an existing pod's required affinity in the score of a pod that it matches.
const hardAffinityWeight = 1

func newPreFilterState(c *clusterState, sig *podSignature) *preFilterState {
	state := &preFilterState{cluster: c, signature: sig, existingAntiAffinityCounts: topologyCounts{}, antiAffinityCounts: topologyCounts{}, topologyScores: topologyCounts{}, matches: map[*podSignature]*signatureMatch{}}
	for range sig.requiredAffinity {
		state.affinityCounts = append(state.affinityCounts, map[string]int{})
	}
	for i := range sig.spreadConstraints {
		state.topology = append(state.topology, state.newTopologyDomains(&sig.spreadConstraints[i]))
	}
	for _, n := range c.nodeList {
		for other, count := range n.signatures {
			state.updateCounts(n, other, count-n.terminating[other], false)
			state.updateCounts(n, other, n.terminating[other], true)
		}
	}
	return state
}

// updateCounts counts pods of another signature that were added to n (by > 0) or removed from it.
func (state *preFilterState) updateCounts(n *node, other *podSignature, by int, terminating bool) {
	r := state.matchOf(other)
	if r == nil || by == 0 {
		return
	}
	if !terminating {
		for _, i := range r.spreadConstraints {
			if s := &state.topology[i]; n.slot < len(s.countedNodes) && s.countedNodes[n.slot] {
				s.counts[s.ofNode[n.slot]] += by
				s.stale = true
			}
		}
	}
	for _, key := range r.existingAntiAffinity {
		if value, ok := n.label(key); ok {
			state.existingAntiAffinityCounts.add(key, value, int64(by))
		}
	}
	for _, key := range r.antiAffinity {
		if value, ok := n.label(key); ok {
			state.antiAffinityCounts.add(key, value, int64(by))
		}
	}
	if r.requiredAffinity {
		for i := range state.signature.requiredAffinity {
			if value, ok := n.label(state.signature.requiredAffinity[i].topologyKey); ok {
				count(state.affinityCounts[i], value, by)
				state.affinityMatches += by
			}
		}
	}
	for _, l := range r.preferred {
		if value, ok := n.label(l.key); ok {
			state.topologyScores.add(l.key, value, int64(by)*l.weight)
		}
	}
}

// matchOf returns nil where pods of other count for nothing.
func (state *preFilterState) matchOf(other *podSignature) *signatureMatch {
	r, known := state.matches[other]
	if !known {
		r = state.newSignatureMatch(other)
		state.matches[other] = r
	}
	return r
}

func (state *preFilterState) newSignatureMatch(other *podSignature) *signatureMatch {
	sig, namespaces := state.signature, state.cluster.namespaces
	r := &signatureMatch{requiredAffinity: allTermsMatch(sig.requiredAffinity, other, namespaces)}
	for i := range sig.spreadConstraints {
		if sig.spreadConstraints[i].counts(sig, other) {
			r.spreadConstraints = append(r.spreadConstraints, i)
		}
	}
	for i := range other.requiredAntiAffinity {
		if other.requiredAntiAffinity[i].matches(sig, namespaces) {
			r.existingAntiAffinity = append(r.existingAntiAffinity, other.requiredAntiAffinity[i].topologyKey)
		}
	}
	for i := range sig.requiredAntiAffinity {
		if sig.requiredAntiAffinity[i].matches(other, namespaces) {
			r.antiAffinity = append(r.antiAffinity, sig.requiredAntiAffinity[i].topologyKey)
		}
	}
	add := func(t *affinityTerm, other *podSignature, weight int64) {
		if t.matches(other, namespaces) {
			r.preferred = append(r.preferred, weightedKey{t.topologyKey, weight})
		}
	}
	for i := range sig.preferredAffinity {
		add(&sig.preferredAffinity[i], other, sig.preferredAffinity[i].weight)
	}
	for i := range other.preferredAffinity {
		add(&other.preferredAffinity[i], sig, other.preferredAffinity[i].weight)
	}
	for i := range other.requiredAffinity {
		add(&other.requiredAffinity[i], sig, hardAffinityWeight)
	}
	if !r.requiredAffinity && len(r.spreadConstraints)+len(r.existingAntiAffinity)+len(r.antiAffinity)+len(r.preferred) == 0 {
		return nil
	}
	return r
}
