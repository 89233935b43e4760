package scheduler

import (
	"math"
	"slices"
)

func filterResources(state *preFilterState, n *node) ([]string, bool) { return n.fits(state.signature) }

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

// leastAllocated is the share of cpu and memory that would stay free.
func leastAllocated(cpu, memory int64, have *resources) int64 {
	free := func(want, have int64) int64 {
		if have <= 0 || want >= have {
			return 0
		}
		return int64(float64(have-want) * maxNodeScore / float64(have))
	}
	return (free(cpu, have.cpu) + free(memory, have.memory)) / 2
}

// balancedAllocation is high when cpu and memory would be used to the same degree.
func balancedAllocation(cpu, memory int64, have *resources) int64 {
	share := func(want, have int64) float64 {
		if have <= 0 {
			return 1
		}
		return min(1, float64(want)/float64(have))
	}
	return int64((1 - math.Abs(share(cpu, have.cpu)-share(memory, have.memory))/2) * maxNodeScore)
}
