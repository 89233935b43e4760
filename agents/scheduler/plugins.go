package scheduler

// filter decides whether a pod may run on a node.
type filter struct {
	name string // of kube-scheduler's plug-in
	doc  string
	// clusterWide filters look at more than the node and the pods on it: their result may change while the node does not.
	clusterWide bool
	// filter returns in kube-scheduler's words why a pod of the state's signature does not fit n; nil: it fits. unresolvable: evicting pods
	// from n would not help.
	filter func(state *preFilterState, n *node) (reasons []string, unresolvable bool)
}

// filters run in this order; the first that returns reasons decides. The cluster-wide ones come last, so that the result of the others
// can be kept.
var filters = []filter{
	{name: "NodeUnschedulable", doc: "the node is not cordoned, or the pod tolerates that", filter: filterUnschedulable},
	{name: "TaintToleration", doc: "the pod tolerates every taint of effect NoSchedule or NoExecute", filter: filterTaints},
	{name: "NodeAffinity", doc: "the node has the labels the pod requires", filter: filterNodeAffinity},
	{name: "NodePorts", doc: "the pod's host ports are free", filter: filterPorts},
	{name: "NodeResourcesFit", doc: "the node has room for what the pod requests", filter: filterResources},
	{name: "PodTopologySpread", doc: "no constraint's skew becomes greater than its maxSkew", clusterWide: true, filter: filterSpread},
	{name: "InterPodAffinity", doc: "required affinity and anti-affinity hold, the pod's and the existing pods'", clusterWide: true, filter: filterPodAffinity},
}
