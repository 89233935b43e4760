package plugins

import (
	"math"

	"gantry/agents/scheduler/framework"
	"gantry/schema/pods"
)

// spreadState is the pre-filter state of topology spreading: the counts of every spread constraint of a signature.
type spreadState struct {
	cluster   *framework.ClusterState
	signature *framework.PodSignature
	topology  []topologyDomains                 // by spread constraint
	matches   map[*framework.PodSignature][]int // constraints that count the pods of a signature
	soft      bool                              // any constraint is ScheduleAnyway
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

func preFilterSpread(_ any, c *framework.ClusterState, sig *framework.PodSignature) any {
	if len(sig.SpreadConstraints) == 0 {
		return nil
	}
	s := &spreadState{cluster: c, signature: sig, matches: map[*framework.PodSignature][]int{}}
	for i := range sig.SpreadConstraints {
		s.topology = append(s.topology, s.newTopologyDomains(&sig.SpreadConstraints[i]))
		s.soft = s.soft || !sig.SpreadConstraints[i].Hard
	}
	framework.CountPods(c, s)
	return s
}

func (s *spreadState) newTopologyDomains(t *framework.SpreadConstraint) topologyDomains {
	slots := s.cluster.Slots()
	d := topologyDomains{ofNode: make([]int, slots), countedNodes: make([]bool, slots), stale: true}
	values := map[string]int{}
	for _, n := range s.cluster.NodeList {
		value, ok := n.Label(t.TopologyKey)
		if !ok {
			d.ofNode[n.Slot] = -1
			continue
		}
		domain, known := values[value]
		if !known {
			domain = len(d.counts)
			values[value] = domain
			d.counts, d.counted = append(d.counts, 0), append(d.counted, false)
		}
		d.ofNode[n.Slot] = domain
		if s.eligible(t, n) {
			d.countedNodes[n.Slot] = true
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
func (s *spreadState) eligible(t *framework.SpreadConstraint, n *framework.NodeInfo) bool {
	if t.SystemDefault {
		return true
	}
	for i := range s.signature.SpreadConstraints {
		o := &s.signature.SpreadConstraints[i]
		if _, ok := n.Label(o.TopologyKey); !ok && o.Hard == t.Hard {
			return false
		}
	}
	if !t.IgnoreNodeAffinity {
		if ok, err := s.signature.RequiredNodeAffinity.Match(n.Object); !ok || err != nil {
			return false
		}
	}
	return !t.HonourTaints || pods.UntoleratedForScheduling(n.Object.Spec.Taints, s.signature.Tolerations) == nil
}

func (s *spreadState) UpdatePods(n *framework.NodeInfo, sig *framework.PodSignature, by int, terminating bool) {
	if terminating {
		return
	}
	for _, i := range s.matchesOf(sig) {
		if d := &s.topology[i]; n.Slot < len(d.countedNodes) && d.countedNodes[n.Slot] {
			d.counts[d.ofNode[n.Slot]] += by
			d.stale = true
		}
	}
}

func (s *spreadState) matchesOf(sig *framework.PodSignature) []int {
	matches, known := s.matches[sig]
	if !known {
		for i := range s.signature.SpreadConstraints {
			if s.signature.SpreadConstraints[i].Counts(s.signature, sig) {
				matches = append(matches, i)
			}
		}
		s.matches[sig] = matches
	}
	return matches
}

func (s *spreadState) DropSignature(sig *framework.PodSignature) { delete(s.matches, sig) }

func filterSpread(state *framework.PreFilterState, own any, n *framework.NodeInfo) ([]string, bool) {
	s := own.(*spreadState)
	for i := range s.signature.SpreadConstraints {
		t := &s.signature.SpreadConstraints[i]
		if !t.Hard {
			continue
		}
		d := &s.topology[i]
		domain := d.ofNode[n.Slot]
		if domain < 0 {
			return []string{"node(s) didn't match pod topology spread constraints (missing required label)"}, true
		}
		self := 0
		if t.Counts(s.signature, s.signature) {
			self = 1
		}
		if d.counts[domain]+self-d.minMatch(t.MinDomains) > t.MaxSkew {
			return []string{"node(s) didn't match pod topology spread constraints"}, false
		}
	}
	return nil, false
}

func skipSpreadScore(own any) bool { return !own.(*spreadState).soft }

// notSpread is the score of a node that lacks the label of a constraint.
const notSpread = -1

// scoreSpread grows with the number of matching pods in n's domains.
func scoreSpread(_ *framework.PreFilterState, own any, n *framework.NodeInfo) (score float64) {
	s := own.(*spreadState)
	for i := range s.signature.SpreadConstraints {
		t := &s.signature.SpreadConstraints[i]
		if t.Hard {
			continue
		}
		d := &s.topology[i]
		domain := d.ofNode[n.Slot]
		switch {
		case domain >= 0:
			score += float64(d.counts[domain])*d.weight + float64(t.MaxSkew-1)
		case !t.SystemDefault:
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
			scores[i] = framework.MaxNodeScore
		default:
			scores[i] = framework.MaxNodeScore * (top + low - score) / top
		}
	}
}

// minMatch is the least count of the eligible domains, 0 where there are fewer than MinDomains.
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
