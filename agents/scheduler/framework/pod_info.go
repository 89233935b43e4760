package framework

// PodInfo is what plug-ins and the sums of nodes know of a pod that has not ended.
type PodInfo struct {
	Key         string // <namespace>/<name>
	Signature   *PodSignature
	Node        *NodeInfo // where it is accounted for; nil: none yet
	Terminating bool      // being deleted, or evicted
	Nominated   *NodeInfo // where others were evicted for it
}
