package scheduler

import "slices"

func filterNodeResources(state *preFilterState, _ any, n *node) ([]string, bool) {
	return n.fits(state.signature)
}

// fits returns the names of the resources that are short for sig, in a fixed order, and whether the empty node would be too small.
func (n *node) fits(sig *podSignature) (short []string, unresolvable bool) {
	r, taken := &sig.requests, n.requested
	for p := range n.nominated {
		if p.signature.priority > sig.priority {
			taken = taken.sum(&p.signature.requests)
		}
	}
	check := func(name string, want, used, have int64) {
		if want > 0 && want > have-used {
			short = append(short, name)
			unresolvable = unresolvable || want > have
		}
	}
	if taken.pods+r.pods > n.allocatable.pods {
		short = append(short, "Too many pods")
		unresolvable = r.pods > n.allocatable.pods
	}
	check("Insufficient cpu", r.cpu, taken.cpu, n.allocatable.cpu)
	check("Insufficient memory", r.memory, taken.memory, n.allocatable.memory)
	check("Insufficient ephemeral-storage", r.storage, taken.storage, n.allocatable.storage)
	for name, want := range r.extended {
		check("Insufficient "+string(name), want, taken.extended[name], n.allocatable.extended[name])
	}
	if len(r.extended) > 1 {
		slices.Sort(short)
	}
	return short, unresolvable
}

// scoreLeastAllocated is the share of cpu and memory that would stay free.
func scoreLeastAllocated(state *preFilterState, _ any, n *node) float64 {
	free := func(want, have int64) int64 {
		if have <= 0 || want >= have {
			return 0
		}
		return int64(float64(have-want) * maxNodeScore / float64(have))
	}
	cpu := free(n.scoredCPU+state.signature.scoredCPU, n.allocatable.cpu)
	memory := free(n.scoredMemory+state.signature.scoredMemory, n.allocatable.memory)
	return float64((cpu + memory) / 2)
}
