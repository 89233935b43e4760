package scheduler

// preFilterState holds what the plug-ins' preFilter returned for one pod signature. A change of nodes or namespaces drops it.
type preFilterState struct {
	cluster   *clusterState
	signature *podSignature
	plugins   []pluginState // by row; nil: no preFilter has run
	counters  []podCounter
}

type pluginState struct {
	ran bool
	own any
}

// own returns what the filter and score of row i get; skip: they do not run for this signature. It runs the row's preFilter where that has
// not run.
func (state *preFilterState) own(i int) (own any, skip bool) {
	set := state.cluster.plugins
	if set.rows[i].preFilter == nil {
		return set.data[i], false
	}
	if state.plugins == nil {
		state.plugins = make([]pluginState, len(set.rows))
	}
	p := &state.plugins[i]
	if !p.ran {
		p.ran, p.own = true, set.rows[i].preFilter(set.data[i], state.cluster, state.signature)
		if counter, ok := p.own.(podCounter); ok {
			state.counters = append(state.counters, counter)
		}
	}
	return p.own, p.own == nil
}

// filterNode runs the filters that look at n alone.
func (state *preFilterState) filterNode(n *node) (reasons []string, unresolvable bool) {
	return state.filter(state.cluster.plugins.nodeFilters, n)
}

// filterClusterWide runs the filters that look at more than n.
func (state *preFilterState) filterClusterWide(n *node) (reasons []string, unresolvable bool) {
	return state.filter(state.cluster.plugins.clusterFilters, n)
}

// activeFilter is a filter that is not skipped for a signature, with what it gets.
type activeFilter struct {
	filter func(state *preFilterState, own any, n *node) (reasons []string, unresolvable bool)
	own    any
}

// activeFilters appends the filters that filterClusterWide runs, to run them for many nodes.
func (state *preFilterState) activeFilters(to []activeFilter) []activeFilter {
	for _, i := range state.cluster.plugins.clusterFilters {
		if own, skip := state.own(i); !skip {
			to = append(to, activeFilter{state.cluster.plugins.rows[i].filter, own})
		}
	}
	return to
}

func (state *preFilterState) run(filters []activeFilter, n *node) (reasons []string, unresolvable bool) {
	for i := range filters {
		if reasons, unresolvable := filters[i].filter(state, filters[i].own, n); reasons != nil {
			return reasons, unresolvable
		}
	}
	return nil, false
}

func (state *preFilterState) filter(rows []int, n *node) (reasons []string, unresolvable bool) {
	for _, i := range rows {
		own, skip := state.own(i)
		if skip {
			continue
		}
		if reasons, unresolvable := state.cluster.plugins.rows[i].filter(state, own, n); reasons != nil {
			return reasons, unresolvable
		}
	}
	return nil, false
}

// countPods tells counter of all pods that are on nodes.
func countPods(c *clusterState, counter podCounter) {
	for _, n := range c.nodeList {
		for sig, all := range n.signatures {
			terminating := n.terminating[sig]
			if all > terminating {
				counter.updatePods(n, sig, all-terminating, false)
			}
			if terminating > 0 {
				counter.updatePods(n, sig, terminating, true)
			}
		}
	}
}
