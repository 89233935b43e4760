package plugins

import (
	"gantry/agents/scheduler/framework"
)

// All are the plug-ins of this scheduler. Filters run in the order of rows, those that are not ClusterWide first; the first that returns
// reasons decides. Weights are kube-scheduler's.
var All = []framework.Plugin{
	{
		Name: "NodeUnschedulable", Doc: "filters cordoned nodes, unless the pod tolerates that",
		Filter: filterNodeUnschedulable,
	}, {
		Name: "TaintToleration", Doc: "filters nodes with taints of effect NoSchedule or NoExecute that the pod does not tolerate, scores few PreferNoSchedule",
		Filter: filterTaints, Score: scoreTaints, Normalize: framework.NormalizeReversed, Weight: 3,
	}, {
		Name: "NodeAffinity", Doc: "filters by node selector and required node affinity, scores preferred node affinity",
		Filter: filterNodeAffinity, Score: scoreNodeAffinity, Normalize: framework.NormalizeByMax, Weight: 2,
	}, {
		Name: "NodePorts", Doc: "filters nodes where a host port of the pod is in use",
		Filter: filterNodePorts,
	}, {
		Name: "NodeResourcesFit", Doc: "filters nodes without room for the pod's requests, scores what stays free",
		Filter: filterNodeResources, Score: scoreLeastAllocated, Weight: 1,
	}, {
		Name: "NodeResourcesBalancedAllocation", Doc: "scores equal use of cpu and memory",
		Score: scoreBalancedAllocation, Weight: 1,
	}, {
		Name: "ImageLocality", Doc: "scores nodes that have the pod's images",
		Score: scoreImageLocality, Weight: 1,
	}, {
		Name: "PodTopologySpread", Doc: "filters and scores by topology spread constraints", ClusterWide: true,
		PreFilter: preFilterSpread, Filter: filterSpread, Score: scoreSpread, SkipScore: skipSpreadScore, Normalize: normalizeSpread, Weight: 2,
	}, {
		Name: "InterPodAffinity", Doc: "filters and scores by affinity and anti-affinity between pods", ClusterWide: true,
		PreFilter: preFilterPodAffinity, Filter: filterPodAffinity, Score: scorePodAffinity, SkipScore: skipPodAffinityScore, Normalize: framework.NormalizeMinMax, Weight: 2,
	},
}
