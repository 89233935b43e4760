package scheduler

import (
	"math"
)

func filterSpread(state *preFilterState, n *node) ([]string, bool) {
	for i := range state.signature.spreadConstraints {
		t := &state.signature.spreadConstraints[i]
		if !t.hard {
			continue
		}
		d := &state.topology[i]
		domain := d.ofNode[n.slot]
		if domain < 0 {
			return []string{"node(s) didn't match pod topology spread constraints (missing required label)"}, true
		}
		self := 0
		if t.counts(state.signature, state.signature) {
			self = 1
		}
		if d.counts[domain]+self-d.minMatch(t.minDomains) > t.maxSkew {
			return []string{"node(s) didn't match pod topology spread constraints"}, false
		}
	}
	return nil, false
}

// spreadScore grows with the number of matching pods in n's domains; ok is false where n lacks a constraint's label.
func (state *preFilterState) spreadScore(n *node) (score float64, ok bool) {
	for i := range state.signature.spreadConstraints {
		t := &state.signature.spreadConstraints[i]
		if t.hard {
			continue
		}
		d := &state.topology[i]
		domain := d.ofNode[n.slot]
		switch {
		case domain >= 0:
			score += float64(d.counts[domain])*d.weight + float64(t.maxSkew-1)
		case !t.systemDefault:
			return 0, false
		}
	}
	return score, true
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

func (state *preFilterState) newTopologyDomains(t *spreadConstraint) topologyDomains {
	slots := len(state.cluster.nodes) + len(state.cluster.freeSlots)
	d := topologyDomains{ofNode: make([]int, slots), countedNodes: make([]bool, slots), stale: true}
	values := map[string]int{}
	for _, n := range state.cluster.nodeList {
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
		if state.eligible(t, n) {
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
func (state *preFilterState) eligible(t *spreadConstraint, n *node) bool {
	if t.systemDefault {
		return true
	}
	for i := range state.signature.spreadConstraints {
		o := &state.signature.spreadConstraints[i]
		if _, ok := n.label(o.topologyKey); !ok && o.hard == t.hard {
			return false
		}
	}
	if !t.ignoreNodeAffinity {
		if ok, err := state.signature.requiredNodeAffinity.Match(n.object); !ok || err != nil {
			return false
		}
	}
	return !t.honourTaints || untolerated(n.object.Spec.Taints, state.signature.tolerations) == nil
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
