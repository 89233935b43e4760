package plugins

import (
	"slices"

	"gantry/agents/scheduler/framework"
)

func filterNodeResources(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
	return fits(n, state.Signature)
}

// fits returns the names of the resources that are short for sig on n, in a fixed order, and whether the empty node would be too small.
func fits(n *framework.NodeInfo, sig *framework.PodSignature) (short []string, unresolvable bool) {
	r, taken := &sig.Requests, n.Requested
	for p := range n.Nominated {
		if p.Signature.Priority > sig.Priority {
			taken = taken.Sum(&p.Signature.Requests)
		}
	}
	check := func(name string, want, used, have int64) {
		if want > 0 && want > have-used {
			short = append(short, name)
			unresolvable = unresolvable || want > have
		}
	}
	if taken.Pods+r.Pods > n.Allocatable.Pods {
		short = append(short, "Too many pods")
		unresolvable = r.Pods > n.Allocatable.Pods
	}
	check("Insufficient cpu", r.CPU, taken.CPU, n.Allocatable.CPU)
	check("Insufficient memory", r.Memory, taken.Memory, n.Allocatable.Memory)
	check("Insufficient ephemeral-storage", r.Storage, taken.Storage, n.Allocatable.Storage)
	for name, want := range r.Extended {
		check("Insufficient "+string(name), want, taken.Extended[name], n.Allocatable.Extended[name])
	}
	if len(r.Extended) > 1 {
		slices.Sort(short)
	}
	return short, unresolvable
}

// scoreLeastAllocated is the share of cpu and memory that would stay free.
func scoreLeastAllocated(state *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
	free := func(want, have int64) int64 {
		if have <= 0 || want >= have {
			return 0
		}
		return int64(float64(have-want) * framework.MaxNodeScore / float64(have))
	}
	cpu := free(n.ScoredCPU+state.Signature.ScoredCPU, n.Allocatable.CPU)
	memory := free(n.ScoredMemory+state.Signature.ScoredMemory, n.Allocatable.Memory)
	return float64((cpu + memory) / 2)
}
