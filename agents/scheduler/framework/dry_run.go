package framework

// DryRun evaluates a node without some of its pods, for preemption. Between its first Remove and End nothing else may use the pre-filter state.
type DryRun struct {
	state   *PreFilterState
	node    *NodeInfo
	rest    *NodeInfo // node without the pods that are removed
	removed map[*PodInfo]bool
}

// DryRun returns a dry run of n with all its pods.
func (state *PreFilterState) DryRun(n *NodeInfo) *DryRun {
	state.runPreFilters()
	return &DryRun{state: state, node: n, rest: n.Clone(), removed: map[*PodInfo]bool{}}
}

// runPreFilters runs the PreFilter of every filter. One that ran later would count pods that a dry run has removed.
func (state *PreFilterState) runPreFilters() {
	set := state.Signature.Plugins
	for _, rows := range [][]int{set.nodeFilters, set.clusterFilters} {
		for _, i := range rows {
			state.Own(i)
		}
	}
}

// Remove evaluates without p from now on.
func (d *DryRun) Remove(p *PodInfo) {
	d.rest.Remove(p)
	d.removed[p] = true
	d.count(p, -1)
}

// Add evaluates with p again.
func (d *DryRun) Add(p *PodInfo) {
	d.rest.Add(p)
	delete(d.removed, p)
	d.count(p, 1)
}

// Fits returns whether all filters pass the node without the pods that are removed.
func (d *DryRun) Fits() bool {
	return d.state.FilterNode(d.rest).Reasons == nil && d.state.FilterClusterWide(d.node).Reasons == nil
}

// End restores the counts of the plug-ins.
func (d *DryRun) End() {
	for p := range d.removed {
		d.count(p, 1)
	}
}

func (d *DryRun) count(p *PodInfo, by int) {
	for _, counter := range d.state.counters {
		counter.UpdatePods(d.node, p.Signature, by, p.Terminating)
	}
}
