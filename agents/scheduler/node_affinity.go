package scheduler

func filterNodeAffinity(state *preFilterState, n *node) ([]string, bool) {
	if ok, err := state.signature.requiredNodeAffinity.Match(n.object); !ok || err != nil {
		return []string{"node(s) didn't match Pod's node affinity/selector"}, true
	}
	return nil, false
}
