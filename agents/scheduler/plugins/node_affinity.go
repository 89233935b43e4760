package plugins

import (
	"gantry/agents/scheduler/framework"
)

func filterNodeAffinity(state *framework.PreFilterState, _ any, n *framework.NodeInfo) ([]string, bool) {
	if ok, err := state.Signature.RequiredNodeAffinity.Match(n.Object); !ok || err != nil {
		return []string{"node(s) didn't match Pod's node affinity/selector"}, true
	}
	return nil, false
}

// scoreNodeAffinity returns the sum of the weights of the preferred terms that match.
func scoreNodeAffinity(state *framework.PreFilterState, _ any, n *framework.NodeInfo) float64 {
	if state.Signature.PreferredNodeAffinity == nil {
		return 0
	}
	return float64(state.Signature.PreferredNodeAffinity.Score(n.Object))
}
