package scheduler

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// maxRecentSignatures bounds the memory of pre-filter states and node results, which grow with the number of nodes.
const maxRecentSignatures = 32

func (c *clusterState) dropPreFilterStates() {
	for _, sig := range c.recentSignatures {
		sig.preFilterState = nil
	}
}

// preFilter returns the pre-filter state of a signature, makes it where it is missing, and drops that of the least recently used.
func (c *clusterState) preFilter(sig *podSignature) *preFilterState {
	if i := slices.Index(c.recentSignatures, sig); i > 0 {
		c.recentSignatures = slices.Delete(c.recentSignatures, i, i+1)
		c.recentSignatures = slices.Insert(c.recentSignatures, 0, sig)
	} else if i < 0 {
		c.recentSignatures = slices.Insert(c.recentSignatures, 0, sig)
	}
	if len(c.recentSignatures) > maxRecentSignatures {
		c.dropResults(c.recentSignatures[maxRecentSignatures])
	}
	if sig.preFilterState == nil {
		sig.preFilterState = &preFilterState{cluster: c, signature: sig}
	}
	return sig.preFilterState
}

// dropResults drops the node results and the pre-filter state of a signature.
func (c *clusterState) dropResults(sig *podSignature) {
	sig.nodeResults, sig.nodeScores, sig.nodesDiffer, sig.preFilterState = nil, nil, nil, nil
	if i := slices.Index(c.recentSignatures, sig); i >= 0 {
		c.recentSignatures = slices.Delete(c.recentSignatures, i, i+1)
	}
}

// passesNodeFilters returns whether a pod of sig passes the filters that look at n alone.
func (c *clusterState) passesNodeFilters(sig *podSignature, n *node) bool {
	if n.object == nil || sig.fault != nil {
		return false
	}
	if sig.preFilterState != nil {
		return sig.preFilterState.nodeResult(n).reasons == nil
	}
	state := preFilterState{cluster: c, signature: sig}
	reasons, _ := state.filterNode(n)
	return reasons == nil
}

// signatureOf returns the signature of a pod and adds it where it is missing. It is kept while setSignature gives it to a pod.
func (c *clusterState) signatureOf(object *corev1.Pod) *podSignature {
	text := signatureText(object, c.plugins.sign(object))
	sig := c.signatures[text]
	if sig == nil {
		sig = newPodSignature(text, object)
		c.signatures[text] = sig
	}
	return sig
}

// setSignature sets a pod's signature; nil: it has none any more. A signature without pods is dropped.
func (c *clusterState) setSignature(p *podInfo, sig *podSignature) {
	if p.signature == sig {
		return
	}
	n := p.node
	c.removePod(p)
	if sig != nil {
		sig.members++
	}
	if old := p.signature; old != nil {
		if old.members--; old.members == 0 {
			c.dropSignature(old)
		}
	}
	p.signature = sig
	if n != nil && sig != nil {
		c.addPod(p, n)
	}
}

func (c *clusterState) dropSignature(sig *podSignature) {
	delete(c.signatures, sig.text)
	c.dropResults(sig)
	for _, other := range c.recentSignatures {
		if other.preFilterState != nil {
			for _, counter := range other.preFilterState.counters {
				counter.dropSignature(sig)
			}
		}
	}
}

// updatePreFilterStates adds p to (by 1) or removes it from (by -1) the counts of every pre-filter state.
func (c *clusterState) updatePreFilterStates(n *node, p *podInfo, by int) {
	if n.object == nil {
		return
	}
	for _, sig := range c.recentSignatures {
		if sig.preFilterState != nil {
			for _, counter := range sig.preFilterState.counters {
				counter.updatePods(n, p.signature, by, p.terminating)
			}
		}
	}
}
