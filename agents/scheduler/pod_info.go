package scheduler

// podInfo is what plug-ins and the sums of nodes know of a pod that has not ended.
type podInfo struct {
	key         string // <namespace>/<name>
	signature   *podSignature
	node        *node // where it is accounted for; nil: none yet
	terminating bool  // being deleted, or evicted
	nominated   *node // where others were evicted for it
}
