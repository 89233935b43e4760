package plugins

import (
	"gantry/agents/scheduler/framework"
)

func filterNodePorts(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
	for _, want := range state.Signature.Ports {
		for have := range n.Ports {
			if want.ConflictsWith(have) {
				return []string{"node(s) didn't have free ports for the requested pod ports"}, false
			}
		}
	}
	return nil, false
}
