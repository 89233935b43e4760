package plugins

import (
	"math"

	"gantry/agents/scheduler/framework"
)

// scoreBalancedAllocation is high when cpu and memory would be used to the same degree.
func scoreBalancedAllocation(state *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
	requests := &state.Signature.Requests
	share := func(want, have int64) float64 {
		if have <= 0 {
			return 1
		}
		return min(1, float64(want)/float64(have))
	}
	cpu := share(n.Requested.CPU+requests.CPU, n.Allocatable.CPU)
	memory := share(n.Requested.Memory+requests.Memory, n.Allocatable.Memory)
	return (1 - math.Abs(cpu-memory)/2) * framework.MaxNodeScore
}
