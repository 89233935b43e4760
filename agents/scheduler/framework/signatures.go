package framework

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// maxRecentSignatures bounds the memory of pre-filter states and node results, which grow with the number of nodes.
const maxRecentSignatures = 32

// DropPreFilterStates drops the pre-filter states of all signatures. They are made again when they are needed.
func (c *ClusterState) DropPreFilterStates() {
	for _, sig := range c.RecentSignatures {
		sig.PreFilterState = nil
	}
}

// PreFilter returns the pre-filter state of a signature, makes it where it is missing, and drops that of the least recently used.
func (c *ClusterState) PreFilter(sig *PodSignature) *PreFilterState {
	if i := slices.Index(c.RecentSignatures, sig); i > 0 {
		c.RecentSignatures = slices.Delete(c.RecentSignatures, i, i+1)
		c.RecentSignatures = slices.Insert(c.RecentSignatures, 0, sig)
	} else if i < 0 {
		c.RecentSignatures = slices.Insert(c.RecentSignatures, 0, sig)
	}
	if len(c.RecentSignatures) > maxRecentSignatures {
		c.dropResults(c.RecentSignatures[maxRecentSignatures])
	}
	if sig.PreFilterState == nil {
		sig.PreFilterState = &PreFilterState{Cluster: c, Signature: sig}
	}
	return sig.PreFilterState
}

// dropResults drops the node results and the pre-filter state of a signature.
func (c *ClusterState) dropResults(sig *PodSignature) {
	sig.nodeResults, sig.nodeScores, sig.nodesDiffer, sig.PreFilterState = nil, nil, nil, nil
	if i := slices.Index(c.RecentSignatures, sig); i >= 0 {
		c.RecentSignatures = slices.Delete(c.RecentSignatures, i, i+1)
	}
}

// passesNodeFilters returns whether a pod of sig passes the filters that look at n alone.
func (c *ClusterState) passesNodeFilters(sig *PodSignature, n *NodeInfo) bool {
	if n.Object == nil || sig.fault != nil {
		return false
	}
	if sig.PreFilterState != nil {
		return sig.PreFilterState.nodeResult(n).Reasons == nil
	}
	state := PreFilterState{Cluster: c, Signature: sig}
	return state.FilterNode(n).Reasons == nil
}

// SignatureOf returns the signature of a pod and adds it where it is missing. It is kept while SetSignature gives it to a pod.
func (c *ClusterState) SignatureOf(object *corev1.Pod) *PodSignature {
	set := c.Profile(object.Spec.SchedulerName)
	if set == nil {
		set = c.Plugins
	}
	text := signatureText(object, set)
	sig := c.Signatures[text]
	if sig == nil {
		sig = newPodSignature(text, object, set)
		c.Signatures[text] = sig
	}
	return sig
}

// SetSignature sets a pod's signature; nil: it has none any more. A signature without pods is dropped.
func (c *ClusterState) SetSignature(p *PodInfo, sig *PodSignature) {
	if p.Signature == sig {
		return
	}
	n := p.Node
	c.RemovePod(p)
	if sig != nil {
		sig.members++
	}
	if old := p.Signature; old != nil {
		if old.members--; old.members == 0 {
			c.dropSignature(old)
		}
	}
	p.Signature = sig
	if n != nil && sig != nil {
		c.AddPod(p, n)
	}
}

func (c *ClusterState) dropSignature(sig *PodSignature) {
	delete(c.Signatures, sig.text)
	c.dropResults(sig)
	for _, other := range c.RecentSignatures {
		if other.PreFilterState != nil {
			for _, counter := range other.PreFilterState.counters {
				counter.DropSignature(sig)
			}
		}
	}
}

// updatePreFilterStates adds p to (by 1) or removes it from (by -1) the counts of every pre-filter state.
func (c *ClusterState) updatePreFilterStates(n *NodeInfo, p *PodInfo, by int) {
	if n.Object == nil {
		return
	}
	for _, sig := range c.RecentSignatures {
		if sig.PreFilterState != nil {
			for _, counter := range sig.PreFilterState.counters {
				counter.UpdatePods(n, p.Signature, by, p.Terminating)
			}
		}
	}
}
