package scheduler

import "math"

// scoreBalancedAllocation is high when cpu and memory would be used to the same degree.
func scoreBalancedAllocation(state *preFilterState, _ any, n *node) float64 {
	requests := &state.signature.requests
	share := func(want, have int64) float64 {
		if have <= 0 {
			return 1
		}
		return min(1, float64(want)/float64(have))
	}
	cpu := share(n.requested.cpu+requests.cpu, n.allocatable.cpu)
	memory := share(n.requested.memory+requests.memory, n.allocatable.memory)
	return (1 - math.Abs(cpu-memory)/2) * maxNodeScore
}
