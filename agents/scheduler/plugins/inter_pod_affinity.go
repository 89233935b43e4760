package plugins

import (
	"k8s.io/apimachinery/pkg/util/validation/field"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"gantry/agents/scheduler/framework"
)

// affinityState is the pre-filter state of inter-pod affinity for one signature.
type affinityState struct {
	cluster   *framework.ClusterState
	signature *framework.PodSignature

	existingAntiAffinityCounts topologyCounts   // pods whose required anti-affinity matches the signature
	antiAffinityCounts         topologyCounts   // pods that the signature's required anti-affinity matches
	affinityCounts             []map[string]int // by required affinity term: pods that match all terms, by label value
	affinityMatches            int              // sum of affinityCounts
	topologyScores             topologyCounts   // weights of preferred affinity, both ways

	hardWeight              int64 // of an existing pod's required affinity in the score of a pod that it matches
	ignoreExistingPreferred bool  // preferred terms of existing pods do not count for a pod that has none

	matches map[*framework.PodSignature]*affinityMatch
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

// defaultHardAffinityWeight is the default of affinityState.hardWeight.
const defaultHardAffinityWeight = 1

// configurePodAffinity sets how existing pods' terms count in scores.
func configurePodAffinity(row framework.Plugin, path *field.Path, decode func(framework.Args) *field.Error) (framework.Plugin, field.ErrorList) {
	var args schedulerv1.InterPodAffinityArgs
	if err := decode(&args); err != nil {
		return row, field.ErrorList{err}
	}
	weight := int32(defaultHardAffinityWeight)
	if args.HardPodAffinityWeight != nil {
		weight = *args.HardPodAffinityWeight
	}
	if weight < 0 || weight > 100 {
		return row, field.ErrorList{field.Invalid(path.Child("hardPodAffinityWeight"), weight, "not in valid range [0, 100]")}
	}
	row.PreFilter = preFilterPodAffinity(int64(weight), args.IgnorePreferredTermsOfExistingPods)
	return row, nil
}

// preFilterPodAffinity returns the plug-in's PreFilter with its arguments.
func preFilterPodAffinity(hardWeight int64, ignoreExistingPreferred bool) func(any, *framework.ClusterState, *framework.PodSignature) any {
	return func(_ any, c *framework.ClusterState, sig *framework.PodSignature) any {
		return newAffinityState(c, sig, hardWeight, ignoreExistingPreferred)
	}
}

func newAffinityState(c *framework.ClusterState, sig *framework.PodSignature, hardWeight int64, ignoreExistingPreferred bool) *affinityState {
	s := &affinityState{
		hardWeight: hardWeight, ignoreExistingPreferred: ignoreExistingPreferred,
		cluster: c, signature: sig, existingAntiAffinityCounts: topologyCounts{}, antiAffinityCounts: topologyCounts{},
		topologyScores: topologyCounts{}, matches: map[*framework.PodSignature]*affinityMatch{},
	}
	for range sig.RequiredAffinity {
		s.affinityCounts = append(s.affinityCounts, map[string]int{})
	}
	framework.CountPods(c, s)
	return s
}

func (s *affinityState) UpdatePods(n *framework.NodeInfo, sig *framework.PodSignature, by int, _ bool) {
	m := s.matchOf(sig)
	if m == nil {
		return
	}
	for _, key := range m.existingAntiAffinity {
		if value, ok := n.Label(key); ok {
			s.existingAntiAffinityCounts.add(key, value, int64(by))
		}
	}
	for _, key := range m.antiAffinity {
		if value, ok := n.Label(key); ok {
			s.antiAffinityCounts.add(key, value, int64(by))
		}
	}
	if m.requiredAffinity {
		for i := range s.signature.RequiredAffinity {
			if value, ok := n.Label(s.signature.RequiredAffinity[i].TopologyKey); ok {
				framework.AddCount(s.affinityCounts[i], value, by)
				s.affinityMatches += by
			}
		}
	}
	for _, p := range m.preferred {
		if value, ok := n.Label(p.key); ok {
			s.topologyScores.add(p.key, value, int64(by)*p.weight)
		}
	}
}

func (s *affinityState) DropSignature(sig *framework.PodSignature) { delete(s.matches, sig) }

// matchOf returns nil where pods of other count for nothing.
func (s *affinityState) matchOf(other *framework.PodSignature) *affinityMatch {
	m, known := s.matches[other]
	if !known {
		m = s.newAffinityMatch(other)
		s.matches[other] = m
	}
	return m
}

func (s *affinityState) newAffinityMatch(other *framework.PodSignature) *affinityMatch {
	sig, namespaces := s.signature, s.cluster.Namespaces
	m := &affinityMatch{requiredAffinity: framework.AllTermsMatch(sig.RequiredAffinity, other, namespaces)}
	for i := range other.RequiredAntiAffinity {
		if t := &other.RequiredAntiAffinity[i]; t.Matches(sig, namespaces) {
			m.existingAntiAffinity = append(m.existingAntiAffinity, t.TopologyKey)
		}
	}
	for i := range sig.RequiredAntiAffinity {
		if t := &sig.RequiredAntiAffinity[i]; t.Matches(other, namespaces) {
			m.antiAffinity = append(m.antiAffinity, t.TopologyKey)
		}
	}
	add := func(t *framework.AffinityTerm, other *framework.PodSignature, weight int64) {
		if t.Matches(other, namespaces) {
			m.preferred = append(m.preferred, weightedKey{t.TopologyKey, weight})
		}
	}
	for i := range sig.PreferredAffinity {
		add(&sig.PreferredAffinity[i], other, sig.PreferredAffinity[i].Weight)
	}
	for i := range other.PreferredAffinity {
		if s.ignoreExistingPreferred && len(sig.PreferredAffinity) == 0 {
			break
		}
		add(&other.PreferredAffinity[i], sig, other.PreferredAffinity[i].Weight)
	}
	for i := range other.RequiredAffinity {
		if s.hardWeight > 0 {
			add(&other.RequiredAffinity[i], sig, s.hardWeight)
		}
	}
	if !m.requiredAffinity && len(m.existingAntiAffinity)+len(m.antiAffinity)+len(m.preferred) == 0 {
		return nil
	}
	return m
}

func filterPodAffinity(_ *framework.PreFilterState, own any, n *framework.NodeInfo) ([]string, bool) {
	s := own.(*affinityState)
	if !s.satisfiesRequiredAffinity(n) {
		return []string{"node(s) didn't match pod affinity rules"}, true
	}
	for i := range s.signature.RequiredAntiAffinity {
		key := s.signature.RequiredAntiAffinity[i].TopologyKey
		if value, ok := n.Label(key); ok && s.antiAffinityCounts[key][value] > 0 {
			return []string{"node(s) didn't match pod anti-affinity rules"}, false
		}
	}
	if len(s.existingAntiAffinityCounts) == 0 {
		return nil, false
	}
	for key, counts := range s.existingAntiAffinityCounts {
		if value, ok := n.Label(key); ok && counts[value] > 0 {
			return []string{"node(s) didn't satisfy existing pods anti-affinity rules"}, false
		}
	}
	return nil, false
}

// satisfiesRequiredAffinity returns whether every required affinity term has a matching pod in n's domain. A pod that matches its own terms
// may go to any node with the labels while no other pod matches them: otherwise the first pod of a group could never start.
func (s *affinityState) satisfiesRequiredAffinity(n *framework.NodeInfo) bool {
	satisfied := true
	for i := range s.signature.RequiredAffinity {
		value, ok := n.Label(s.signature.RequiredAffinity[i].TopologyKey)
		if !ok {
			return false
		}
		satisfied = satisfied && s.affinityCounts[i][value] > 0
	}
	return satisfied || s.affinityMatches == 0 && framework.AllTermsMatch(s.signature.RequiredAffinity, s.signature, s.cluster.Namespaces)
}

func skipPodAffinityScore(own any) bool { return len(own.(*affinityState).topologyScores) == 0 }

// scorePodAffinity returns the sum of the preferred affinity weights in n's domains.
func scorePodAffinity(_ *framework.PreFilterState, own any, n *framework.NodeInfo) float64 {
	var score int64
	for key, weights := range own.(*affinityState).topologyScores {
		if value, ok := n.Label(key); ok {
			score += weights[value]
		}
	}
	return float64(score)
}
