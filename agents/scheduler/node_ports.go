package scheduler

func filterNodePorts(state *preFilterState, _ any, n *node) ([]string, bool) {
	for _, want := range state.signature.ports {
		for have := range n.ports {
			if want.ConflictsWith(have) {
				return []string{"node(s) didn't have free ports for the requested pod ports"}, false
			}
		}
	}
	return nil, false
}
