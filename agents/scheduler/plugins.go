package scheduler

// plugins are the plug-ins of this scheduler. Filters run in the order of rows, those that are not clusterWide first; the first that returns
// reasons decides. Weights are kube-scheduler's.
var plugins = []plugin{
	{
		name: "NodeUnschedulable", doc: "filters cordoned nodes, unless the pod tolerates that",
		filter: filterNodeUnschedulable,
	}, {
		name: "TaintToleration", doc: "filters nodes with taints of effect NoSchedule or NoExecute that the pod does not tolerate, scores few PreferNoSchedule",
		filter: filterTaints, score: scoreTaints, normalize: normalizeReversed, weight: 3,
	}, {
		name: "NodeAffinity", doc: "filters by node selector and required node affinity, scores preferred node affinity",
		filter: filterNodeAffinity, score: scoreNodeAffinity, normalize: normalizeByMax, weight: 2,
	}, {
		name: "NodePorts", doc: "filters nodes where a host port of the pod is in use",
		filter: filterNodePorts,
	}, {
		name: "NodeResourcesFit", doc: "filters nodes without room for the pod's requests, scores what stays free",
		filter: filterNodeResources, score: scoreLeastAllocated, weight: 1,
	}, {
		name: "NodeResourcesBalancedAllocation", doc: "scores equal use of cpu and memory",
		score: scoreBalancedAllocation, weight: 1,
	}, {
		name: "ImageLocality", doc: "scores nodes that have the pod's images",
		score: scoreImageLocality, weight: 1,
	}, {
		name: "PodTopologySpread", doc: "filters and scores by topology spread constraints", clusterWide: true,
		preFilter: preFilterSpread, filter: filterSpread, score: scoreSpread, skipScore: skipSpreadScore, normalize: normalizeSpread, weight: 2,
	}, {
		name: "InterPodAffinity", doc: "filters and scores by affinity and anti-affinity between pods", clusterWide: true,
		preFilter: preFilterPodAffinity, filter: filterPodAffinity, score: scorePodAffinity, skipScore: skipPodAffinityScore, normalize: normalizeMinMax, weight: 2,
	},
}
