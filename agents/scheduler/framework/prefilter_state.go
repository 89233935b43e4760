package framework

// PreFilterState holds what the plug-ins' PreFilter returned for one pod signature. A change of nodes or namespaces drops it.
type PreFilterState struct {
	Cluster   *ClusterState
	Signature *PodSignature
	plugins   []pluginState // by row; nil: no PreFilter has run
	counters  []PodCounter
}

type pluginState struct {
	ran bool
	own any
}

// Own returns what the filter and score of row i get; skip: they do not run for this signature. It runs the row's PreFilter where that has
// not run.
func (state *PreFilterState) Own(i int) (own any, skip bool) {
	set := state.Signature.Plugins
	if set.rows[i].PreFilter == nil {
		return set.data[i], false
	}
	if state.plugins == nil {
		state.plugins = make([]pluginState, len(set.rows))
	}
	p := &state.plugins[i]
	if !p.ran {
		p.ran, p.own = true, set.rows[i].PreFilter(set.data[i], state.Cluster, state.Signature)
		if counter, ok := p.own.(PodCounter); ok {
			state.counters = append(state.counters, counter)
		}
	}
	return p.own, p.own == nil
}

// dropOwn drops what the PreFilter of row i returned: it runs again when it is needed.
func (state *PreFilterState) dropOwn(i int) {
	if state.plugins == nil {
		return
	}
	state.plugins[i] = pluginState{}
	state.counters = nil
	for _, p := range state.plugins {
		if counter, ok := p.own.(PodCounter); ok {
			state.counters = append(state.counters, counter)
		}
	}
}

// Rejection says that a node does not fit.
type Rejection struct {
	Reasons      []string // nil: it fits
	Unresolvable bool     // evicting pods would not help
	row          int      // of the plug-in
}

// FilterNode runs the filters that look at n alone.
func (state *PreFilterState) FilterNode(n *NodeInfo) Rejection {
	return state.filter(state.Signature.Plugins.nodeFilters, n)
}

// FilterClusterWide runs the filters that look at more than n.
func (state *PreFilterState) FilterClusterWide(n *NodeInfo) Rejection {
	return state.filter(state.Signature.Plugins.clusterFilters, n)
}

// activeFilter is a filter that is not skipped for a signature, with what it gets.
type activeFilter struct {
	filter func(state *PreFilterState, own any, n *NodeInfo) (reasons []string, unresolvable bool)
	own    any
	row    int
}

// activeFilters appends the filters that FilterClusterWide runs, to run them for many nodes.
func (state *PreFilterState) activeFilters(to []activeFilter) []activeFilter {
	for _, i := range state.Signature.Plugins.clusterFilters {
		if own, skip := state.Own(i); !skip {
			to = append(to, activeFilter{state.Signature.Plugins.rows[i].Filter, own, i})
		}
	}
	return to
}

// rejects returns whether one of the filters rejects n, and sets r then.
func (state *PreFilterState) rejects(filters []activeFilter, n *NodeInfo, r *Rejection) bool {
	for i := range filters {
		if reasons, unresolvable := filters[i].filter(state, filters[i].own, n); reasons != nil {
			*r = Rejection{reasons, unresolvable, filters[i].row}
			return true
		}
	}
	return false
}

func (state *PreFilterState) filter(rows []int, n *NodeInfo) Rejection {
	for _, i := range rows {
		own, skip := state.Own(i)
		if skip {
			continue
		}
		if reasons, unresolvable := state.Signature.Plugins.rows[i].Filter(state, own, n); reasons != nil {
			return Rejection{reasons, unresolvable, i}
		}
	}
	return Rejection{}
}

// CountPods tells counter of all pods that are on nodes.
func CountPods(c *ClusterState, counter PodCounter) {
	for _, n := range c.NodeList {
		for sig, all := range n.Signatures {
			terminating := n.Terminating[sig]
			if all > terminating {
				counter.UpdatePods(n, sig, all-terminating, false)
			}
			if terminating > 0 {
				counter.UpdatePods(n, sig, terminating, true)
			}
		}
	}
}
