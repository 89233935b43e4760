package scheduler

import (
	"math"

	"gantry/schema/pods"
)

// spreadState is the pre-filter state of topology spreading: the counts of every spread constraint of a signature.
type spreadState struct {
	cluster   *clusterState
	signature *podSignature
	topology  []topologyDomains       // by spread constraint
	matches   map[*podSignature][]int // constraints that count the pods of a signature
	soft      bool                    // any constraint is ScheduleAnyway
}

// topologyDomains are the counts of one spread constraint; a domain is a value of its node label.
type topologyDomains struct {
	counts       []int   // matching pods, by domain
	counted      []bool  // domains with at least one eligible node
	eligible     int     // number of counted domains
	ofNode       []int   // domain by slot; -1: the node lacks the label
	countedNodes []bool  // eligible nodes by slot
	minCount     int     // the least of the counted domains
	stale        bool    // minCount has to be computed again
	weight       float64 // of the domain's count in the score
}

func preFilterSpread(_ any, c *clusterState, sig *podSignature) any {
	if len(sig.spreadConstraints) == 0 {
		return nil
	}
	s := &spreadState{cluster: c, signature: sig, matches: map[*podSignature][]int{}}
	for i := range sig.spreadConstraints {
		s.topology = append(s.topology, s.newTopologyDomains(&sig.spreadConstraints[i]))
		s.soft = s.soft || !sig.spreadConstraints[i].hard
	}
	countPods(c, s)
	return s
}

func (s *spreadState) newTopologyDomains(t *spreadConstraint) topologyDomains {
	slots := len(s.cluster.nodes) + len(s.cluster.freeSlots)
	d := topologyDomains{ofNode: make([]int, slots), countedNodes: make([]bool, slots), stale: true}
	values := map[string]int{}
	for _, n := range s.cluster.nodeList {
		value, ok := n.label(t.topologyKey)
		if !ok {
			d.ofNode[n.slot] = -1
			continue
		}
		domain, known := values[value]
		if !known {
			domain = len(d.counts)
			values[value] = domain
			d.counts, d.counted = append(d.counts, 0), append(d.counted, false)
		}
		d.ofNode[n.slot] = domain
		if s.eligible(t, n) {
			d.countedNodes[n.slot] = true
			if !d.counted[domain] {
				d.counted[domain] = true
				d.eligible++
			}
		}
	}
	d.weight = math.Log(float64(d.eligible + 2))
	return d
}

// eligible returns whether pods on n count for a constraint.
func (s *spreadState) eligible(t *spreadConstraint, n *node) bool {
	if t.systemDefault {
		return true
	}
	for i := range s.signature.spreadConstraints {
		o := &s.signature.spreadConstraints[i]
		if _, ok := n.label(o.topologyKey); !ok && o.hard == t.hard {
			return false
		}
	}
	if !t.ignoreNodeAffinity {
		if ok, err := s.signature.requiredNodeAffinity.Match(n.object); !ok || err != nil {
			return false
		}
	}
	return !t.honourTaints || pods.UntoleratedForScheduling(n.object.Spec.Taints, s.signature.tolerations) == nil
}

func (s *spreadState) updatePods(n *node, sig *podSignature, by int, terminating bool) {
	if terminating {
		return
	}
	for _, i := range s.matchesOf(sig) {
		if d := &s.topology[i]; n.slot < len(d.countedNodes) && d.countedNodes[n.slot] {
			d.counts[d.ofNode[n.slot]] += by
			d.stale = true
		}
	}
}

func (s *spreadState) matchesOf(sig *podSignature) []int {
	matches, known := s.matches[sig]
	if !known {
		for i := range s.signature.spreadConstraints {
			if s.signature.spreadConstraints[i].counts(s.signature, sig) {
				matches = append(matches, i)
			}
		}
		s.matches[sig] = matches
	}
	return matches
}

func (s *spreadState) dropSignature(sig *podSignature) { delete(s.matches, sig) }

func filterSpread(state *preFilterState, own any, n *node) ([]string, bool) {
	s := own.(*spreadState)
	for i := range s.signature.spreadConstraints {
		t := &s.signature.spreadConstraints[i]
		if !t.hard {
			continue
		}
		d := &s.topology[i]
		domain := d.ofNode[n.slot]
		if domain < 0 {
			return []string{"node(s) didn't match pod topology spread constraints (missing required label)"}, true
		}
		self := 0
		if t.counts(s.signature, s.signature) {
			self = 1
		}
		if d.counts[domain]+self-d.minMatch(t.minDomains) > t.maxSkew {
			return []string{"node(s) didn't match pod topology spread constraints"}, false
		}
	}
	return nil, false
}

func skipSpreadScore(own any) bool { return !own.(*spreadState).soft }

// notSpread is the score of a node that lacks the label of a constraint.
const notSpread = -1

// scoreSpread grows with the number of matching pods in n's domains.
func scoreSpread(_ *preFilterState, own any, n *node) (score float64) {
	s := own.(*spreadState)
	for i := range s.signature.spreadConstraints {
		t := &s.signature.spreadConstraints[i]
		if t.hard {
			continue
		}
		d := &s.topology[i]
		domain := d.ofNode[n.slot]
		switch {
		case domain >= 0:
			score += float64(d.counts[domain])*d.weight + float64(t.maxSkew-1)
		case !t.systemDefault:
			return notSpread
		}
	}
	return score
}

// normalizeSpread gives the node with the fewest matching pods the best score, and notSpread 0.
func normalizeSpread(scores []float64) {
	low, top := math.MaxFloat64, 0.0
	for _, score := range scores {
		if score != notSpread {
			low, top = min(low, score), max(top, score)
		}
	}
	for i, score := range scores {
		switch {
		case score == notSpread:
			scores[i] = 0
		case top == 0:
			scores[i] = maxNodeScore
		default:
			scores[i] = maxNodeScore * (top + low - score) / top
		}
	}
}

// minMatch is the least count of the eligible domains, 0 where there are fewer than minDomains.
func (d *topologyDomains) minMatch(minDomains int) int {
	if d.eligible < minDomains {
		return 0
	}
	if d.stale {
		d.minCount, d.stale = math.MaxInt, false
		for i, n := range d.counts {
			if d.counted[i] {
				d.minCount = min(d.minCount, n)
			}
		}
	}
	return d.minCount
}
