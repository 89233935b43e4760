package plugins

import (
	"gantry/agents/scheduler/framework"
	"gantry/schema/core"
	"gantry/schema/storage"
)

// The events of rows. Those that a row shares with others are kube-scheduler's too, but that the cluster state knows only that a node changed,
// not what of it.
var (
	nodeUpdated = framework.ClusterEvent{Kind: core.Node, Actions: framework.Update}
	nodeChanged = framework.ClusterEvent{Kind: core.Node, Actions: framework.AnyAction}
	podLeft     = framework.ClusterEvent{Kind: core.Pod, Actions: framework.Update | framework.Delete} // an update may have it request less
	podChanged  = framework.ClusterEvent{Kind: core.Pod, Actions: framework.AnyAction}
	// A namespace's labels are what a namespaceSelector selects.
	namespaceChanged = framework.ClusterEvent{Kind: core.Namespace, Actions: framework.AnyAction}
)

// volumeEvents are those of VolumeBinding and VolumeZone.
var volumeEvents = []framework.ClusterEvent{
	nodeUpdated,
	{Kind: core.PersistentVolumeClaim, Actions: framework.Add | framework.Update},
	{Kind: core.PersistentVolume, Actions: framework.Add | framework.Update},
	{Kind: storage.StorageClass, Actions: framework.Add | framework.Update},
}

// All are the plug-ins of this scheduler. Filters run in the order of rows, those that are not ClusterWide first; the first that returns
// reasons decides. Weights are kube-scheduler's.
var All = []framework.Plugin{
	{
		Name: "NodeUnschedulable", Doc: "filters cordoned nodes, unless the pod tolerates that",
		Filter: filterNodeUnschedulable, Events: []framework.ClusterEvent{nodeUpdated},
	}, {
		Name: "TaintToleration", Doc: "filters nodes with taints of effect NoSchedule or NoExecute that the pod does not tolerate, scores few PreferNoSchedule",
		Filter: filterTaints, Events: []framework.ClusterEvent{nodeUpdated}, Score: scoreTaints, Normalize: framework.NormalizeReversed, Weight: 3,
	}, {
		Name: "NodeAffinity", Doc: "filters by node selector and required node affinity, scores preferred node affinity",
		Filter: filterNodeAffinity, Events: []framework.ClusterEvent{nodeUpdated}, Score: scoreNodeAffinity, Normalize: framework.NormalizeByMax, Weight: 2,
		Configure: configureNodeAffinity,
	}, {
		Name: "NodePorts", Doc: "filters nodes where a host port of the pod is in use",
		Filter: filterNodePorts, Events: []framework.ClusterEvent{podLeft},
	}, {
		Name: "NodeResourcesFit", Doc: "filters nodes without room for the pod's requests, scores what stays free",
		Filter: filterNodeResources, Events: []framework.ClusterEvent{nodeUpdated, podLeft}, Score: scoreLeastAllocated, Weight: 1,
		Configure: configureResourcesFit,
	}, {
		Name: "NodeResourcesBalancedAllocation", Doc: "scores equal use of cpu and memory",
		Score: scoreBalancedAllocation, Weight: 1,
	}, {
		Name: "ImageLocality", Doc: "scores nodes that have the pod's images",
		Score: scoreImageLocality, Weight: 1,
	}, {
		Name: "VolumeRestrictions", Doc: "filters all nodes while another pod uses a claim of the pod that only one pod may use",
		ClusterWide: true, NewData: handleData, Sign: signVolumes,
		Events:    []framework.ClusterEvent{podLeft, {Kind: core.PersistentVolumeClaim, Actions: framework.Add | framework.Update}},
		PreFilter: preFilterRestrictions, Filter: filterRestrictions,
	}, {
		Name: "NodeVolumeLimits", Doc: "filters nodes that take no more volumes of a CSI driver, by their CSINode",
		ClusterWide: true, NewData: handleData, Sign: signVolumes,
		Events: append([]framework.ClusterEvent{
			podLeft, {Kind: storage.CSINode, Actions: framework.Add | framework.Update}, {Kind: storage.VolumeAttachment, Actions: framework.Delete},
		}, volumeEvents...),
		PreFilter: preFilterVolumeLimits, Filter: filterVolumeLimits,
	}, {
		Name: "VolumeBinding", Doc: "filters nodes that do not reach the volumes of the pod's claims, chooses volumes for claims without, and waits for their binding",
		ClusterWide: true, Events: volumeEvents, NewData: newVolumeBinder, Sign: signVolumes,
		PreFilter: preFilterVolumes, Filter: filterVolumes, Reserve: reserveVolumes, Unreserve: unreserveVolumes, PreBind: preBindVolumes,
	}, {
		Name: "VolumeZone", Doc: "filters nodes that are not in the zones and regions of the volumes of the pod's claims",
		ClusterWide: true, Events: volumeEvents, NewData: handleData, Sign: signVolumes,
		PreFilter: preFilterZones, Filter: filterZones,
	}, {
		Name: "PodTopologySpread", Doc: "filters and scores by topology spread constraints", ClusterWide: true, Events: []framework.ClusterEvent{nodeChanged, podChanged},
		PreFilter: preFilterSpread, Filter: filterSpread, Score: scoreSpread, SkipScore: skipSpreadScore, Normalize: normalizeSpread, Weight: 2,
	}, {
		Name: "InterPodAffinity", Doc: "filters and scores by affinity and anti-affinity between pods", ClusterWide: true, Events: []framework.ClusterEvent{nodeChanged, podChanged, namespaceChanged},
		PreFilter: preFilterPodAffinity(defaultHardAffinityWeight, false), Configure: configurePodAffinity, Filter: filterPodAffinity, Score: scorePodAffinity, SkipScore: skipPodAffinityScore, Normalize: framework.NormalizeMinMax, Weight: 2,
	},
}
