package scheduler

// affinityState is the pre-filter state of inter-pod affinity for one signature.
type affinityState struct {
	cluster   *clusterState
	signature *podSignature

	existingAntiAffinityCounts topologyCounts   // pods whose required anti-affinity matches the signature
	antiAffinityCounts         topologyCounts   // pods that the signature's required anti-affinity matches
	affinityCounts             []map[string]int // by required affinity term: pods that match all terms, by label value
	affinityMatches            int              // sum of affinityCounts
	topologyScores             topologyCounts   // weights of preferred affinity, both ways

	matches map[*podSignature]*affinityMatch
}

// topologyCounts are counts by node label and value.
type topologyCounts map[string]map[string]int64

func (counts topologyCounts) add(key, value string, by int64) {
	if counts[key] == nil {
		counts[key] = map[string]int64{}
	}
	counts[key][value] += by
}

// affinityMatch is what a pod of another signature counts for.
type affinityMatch struct {
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

func preFilterPodAffinity(_ any, c *clusterState, sig *podSignature) any {
	s := &affinityState{
		cluster: c, signature: sig, existingAntiAffinityCounts: topologyCounts{}, antiAffinityCounts: topologyCounts{},
		topologyScores: topologyCounts{}, matches: map[*podSignature]*affinityMatch{},
	}
	for range sig.requiredAffinity {
		s.affinityCounts = append(s.affinityCounts, map[string]int{})
	}
	countPods(c, s)
	return s
}

func (s *affinityState) updatePods(n *node, sig *podSignature, by int, _ bool) {
	m := s.matchOf(sig)
	if m == nil {
		return
	}
	for _, key := range m.existingAntiAffinity {
		if value, ok := n.label(key); ok {
			s.existingAntiAffinityCounts.add(key, value, int64(by))
		}
	}
	for _, key := range m.antiAffinity {
		if value, ok := n.label(key); ok {
			s.antiAffinityCounts.add(key, value, int64(by))
		}
	}
	if m.requiredAffinity {
		for i := range s.signature.requiredAffinity {
			if value, ok := n.label(s.signature.requiredAffinity[i].topologyKey); ok {
				count(s.affinityCounts[i], value, by)
				s.affinityMatches += by
			}
		}
	}
	for _, p := range m.preferred {
		if value, ok := n.label(p.key); ok {
			s.topologyScores.add(p.key, value, int64(by)*p.weight)
		}
	}
}

func (s *affinityState) dropSignature(sig *podSignature) { delete(s.matches, sig) }

// matchOf returns nil where pods of other count for nothing.
func (s *affinityState) matchOf(other *podSignature) *affinityMatch {
	m, known := s.matches[other]
	if !known {
		m = s.newAffinityMatch(other)
		s.matches[other] = m
	}
	return m
}

func (s *affinityState) newAffinityMatch(other *podSignature) *affinityMatch {
	sig, namespaces := s.signature, s.cluster.namespaces
	m := &affinityMatch{requiredAffinity: allTermsMatch(sig.requiredAffinity, other, namespaces)}
	for i := range other.requiredAntiAffinity {
		if t := &other.requiredAntiAffinity[i]; t.matches(sig, namespaces) {
			m.existingAntiAffinity = append(m.existingAntiAffinity, t.topologyKey)
		}
	}
	for i := range sig.requiredAntiAffinity {
		if t := &sig.requiredAntiAffinity[i]; t.matches(other, namespaces) {
			m.antiAffinity = append(m.antiAffinity, t.topologyKey)
		}
	}
	add := func(t *affinityTerm, other *podSignature, weight int64) {
		if t.matches(other, namespaces) {
			m.preferred = append(m.preferred, weightedKey{t.topologyKey, weight})
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
	if !m.requiredAffinity && len(m.existingAntiAffinity)+len(m.antiAffinity)+len(m.preferred) == 0 {
		return nil
	}
	return m
}

func filterPodAffinity(_ *preFilterState, own any, n *node) ([]string, bool) {
	s := own.(*affinityState)
	if !s.satisfiesRequiredAffinity(n) {
		return []string{"node(s) didn't match pod affinity rules"}, true
	}
	for i := range s.signature.requiredAntiAffinity {
		key := s.signature.requiredAntiAffinity[i].topologyKey
		if value, ok := n.label(key); ok && s.antiAffinityCounts[key][value] > 0 {
			return []string{"node(s) didn't match pod anti-affinity rules"}, false
		}
	}
	if len(s.existingAntiAffinityCounts) == 0 {
		return nil, false
	}
	for key, counts := range s.existingAntiAffinityCounts {
		if value, ok := n.label(key); ok && counts[value] > 0 {
			return []string{"node(s) didn't satisfy existing pods anti-affinity rules"}, false
		}
	}
	return nil, false
}

// satisfiesRequiredAffinity returns whether every required affinity term has a matching pod in n's domain. A pod that matches its own terms
// may go to any node with the labels while no other pod matches them: otherwise the first pod of a group could never start.
func (s *affinityState) satisfiesRequiredAffinity(n *node) bool {
	satisfied := true
	for i := range s.signature.requiredAffinity {
		value, ok := n.label(s.signature.requiredAffinity[i].topologyKey)
		if !ok {
			return false
		}
		satisfied = satisfied && s.affinityCounts[i][value] > 0
	}
	return satisfied || s.affinityMatches == 0 && allTermsMatch(s.signature.requiredAffinity, s.signature, s.cluster.namespaces)
}

func skipPodAffinityScore(own any) bool { return len(own.(*affinityState).topologyScores) == 0 }

// scorePodAffinity returns the sum of the preferred affinity weights in n's domains.
func scorePodAffinity(_ *preFilterState, own any, n *node) float64 {
	var score int64
	for key, weights := range own.(*affinityState).topologyScores {
		if value, ok := n.label(key); ok {
			score += weights[value]
		}
	}
	return float64(score)
}
