package framework

import "slices"

// PluginScore is the weighted and normalized score that one plug-in gives a node.
type PluginScore struct {
	Plugin string
	Score  int64
}

// PluginRejection is why one plug-in keeps a pod off a node.
type PluginRejection struct {
	Plugin       string
	Reasons      []string
	Unresolvable bool // evicting pods would not help
}

// Evaluation is what every plug-in says of one node for a pod.
type Evaluation struct {
	Node       *NodeInfo
	Rejections []PluginRejection // empty: the node fits
	Scores     []PluginScore     // by row; empty where the node does not fit
	Score      int64             // sum of Scores
}

// Evaluate returns what every plug-in says of every node for a pod of sig, in the order of NodeList. Unlike SelectNode it runs all filters, keeps
// nothing and chooses nothing: it is for explanations. The error is why the pod cannot be parsed.
func (c *ClusterState) Evaluate(sig *PodSignature) ([]Evaluation, error) {
	if sig.fault != nil {
		return nil, sig.fault
	}
	state := &PreFilterState{Cluster: c, Signature: sig}
	all := make([]Evaluation, len(c.NodeList))
	var fits []*Evaluation
	for i, n := range c.NodeList {
		all[i] = Evaluation{Node: n, Rejections: state.rejections(n)}
		if len(all[i].Rejections) == 0 {
			fits = append(fits, &all[i])
		}
	}
	if len(fits) > 0 {
		state.evaluateScores(fits)
	}
	return all, nil
}

// rejections runs every filter for n, also those after the first that rejects it.
func (state *PreFilterState) rejections(n *NodeInfo) (all []PluginRejection) {
	set := state.Signature.Plugins
	for _, i := range slices.Concat(set.nodeFilters, set.clusterFilters) {
		own, skip := state.Own(i)
		if skip {
			continue
		}
		row := &set.rows[i]
		if reasons, unresolvable := row.Filter(state, own, n); reasons != nil {
			all = append(all, PluginRejection{row.Name, reasons, unresolvable})
		}
	}
	return all
}

// evaluateScores sets the scores of the nodes that fit, as prioritize adds them up.
func (state *PreFilterState) evaluateScores(fits []*Evaluation) {
	set := state.Signature.Plugins
	scores := make([]float64, len(fits))
	for i := range set.rows {
		row := &set.rows[i]
		if row.Score == nil {
			continue
		}
		own, skip := state.Own(i)
		if skip || row.SkipScore != nil && row.SkipScore(own) {
			continue
		}
		equal := true
		for j, e := range fits {
			scores[j] = row.Score(state, own, e.Node)
			equal = equal && scores[j] == scores[0]
		}
		if equal && row.Normalize != nil {
			continue // as for the scheduler, which leaves equal scores out
		}
		if row.Normalize != nil {
			row.Normalize(scores)
		}
		for j, e := range fits {
			score := row.Weight * int64(scores[j])
			e.Scores = append(e.Scores, PluginScore{row.Name, score})
			e.Score += score
		}
	}
}

// FitsWithoutLowerPriority returns the keys of the pods of lower priority than sig on n, where all filters let a pod of sig pass without them;
// nil: that would not help.
func (c *ClusterState) FitsWithoutLowerPriority(sig *PodSignature, n *NodeInfo) (keys []string) {
	if sig.NeverPreempt {
		return nil
	}
	run := (&PreFilterState{Cluster: c, Signature: sig}).DryRun(n)
	for key, p := range n.Pods {
		if p.Signature.Priority < sig.Priority && !p.Terminating {
			run.Remove(p)
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 || !run.Fits() {
		return nil
	}
	slices.Sort(keys)
	return keys
}
