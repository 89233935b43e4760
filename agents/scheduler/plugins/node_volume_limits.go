package plugins

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/agents/scheduler/framework"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// csiVolume is a volume of a CSI driver. handle is the driver's name of it; of a claim that has no volume yet, the claim's key.
type csiVolume struct {
	driver, handle string
	unbound        bool
}

// volumeCounts is what NodeVolumeLimits needs to know for a signature: its volumes, and what is on nodes of the same drivers.
type volumeCounts struct {
	handle      framework.Handle
	wanted      []csiVolume
	limits      map[string]map[string]int               // how many volumes of a driver a node takes, by node and driver; absent: no limit
	onNode      map[string]map[csiVolume]int            // users of the volumes that are on a node, by node: pods and attachments
	bySignature map[*framework.PodSignature][]csiVolume // of the pods on nodes
}

// preFilterVolumeLimits returns nil for a signature whose volumes are of no driver with limits.
func preFilterVolumeLimits(data any, c *framework.ClusterState, sig *framework.PodSignature) any {
	h, ok := data.(framework.Handle)
	if !ok || h.Registry == nil || len(volumes.ClaimNames(sig.Pod)) == 0 {
		return nil
	}
	own := &volumeCounts{
		handle: h, limits: map[string]map[string]int{}, onNode: map[string]map[csiVolume]int{}, bySignature: map[*framework.PodSignature][]csiVolume{},
	}
	own.wanted = own.volumesOf(sig.Pod)
	if len(own.wanted) == 0 || !own.readLimits() {
		return nil
	}
	own.countAttachments()
	framework.CountPods(c, own)
	return own
}

// readLimits reads the limits of the drivers of the wanted volumes, and returns whether there are any.
func (v *volumeCounts) readLimits() bool {
	nodes, err := registry.For[*storagev1.CSINode](v.handle.Registry).CachedList(context.Background(), "", "")
	if err != nil {
		return false
	}
	for _, node := range nodes {
		for _, d := range node.Spec.Drivers {
			if d.Allocatable == nil || d.Allocatable.Count == nil || !v.wants(d.Name) {
				continue
			}
			if v.limits[node.Name] == nil {
				v.limits[node.Name] = map[string]int{}
			}
			v.limits[node.Name][d.Name] = int(*d.Allocatable.Count)
		}
	}
	return len(v.limits) > 0
}

func (v *volumeCounts) wants(driver string) bool {
	for _, w := range v.wanted {
		if w.driver == driver {
			return true
		}
	}
	return false
}

// countAttachments counts volumes that are attached to nodes, which they are for a while after their pods.
func (v *volumeCounts) countAttachments() {
	all, err := registry.For[*storagev1.VolumeAttachment](v.handle.Registry).CachedList(context.Background(), "", "")
	if err != nil {
		return
	}
	for _, a := range all {
		if a.Spec.Source.PersistentVolumeName == nil {
			continue
		}
		if pv := v.volume(*a.Spec.Source.PersistentVolumeName); pv != nil && pv.Spec.CSI != nil && a.Spec.Attacher != "" {
			v.add(a.Spec.NodeName, csiVolume{driver: a.Spec.Attacher, handle: pv.Spec.CSI.VolumeHandle}, 1)
		}
	}
}

func (v *volumeCounts) add(node string, volume csiVolume, by int) {
	if v.limits[node] == nil {
		return
	}
	if v.onNode[node] == nil {
		v.onNode[node] = map[csiVolume]int{}
	}
	framework.AddCount(v.onNode[node], volume, by)
}

// volume is a volume that the cache has; nil: it has none of that name.
func (v *volumeCounts) volume(name string) *corev1.PersistentVolume {
	pv, err := registry.For[*corev1.PersistentVolume](v.handle.Registry).Cached(context.Background(), "", name)
	if err != nil {
		return nil
	}
	return pv
}

// volumesOf are the CSI volumes of a pod, each once. A claim that is absent is VolumeBinding's to report.
func (v *volumeCounts) volumesOf(pod *corev1.Pod) (all []csiVolume) {
	seen := map[csiVolume]bool{}
	for _, name := range volumes.ClaimNames(pod) {
		pvc, err := registry.For[*corev1.PersistentVolumeClaim](v.handle.Registry).Cached(context.Background(), pod.Namespace, name)
		if err != nil {
			continue
		}
		if volume, ok := v.volumeOf(pvc); ok && !seen[volume] {
			seen[volume] = true
			all = append(all, volume)
		}
	}
	return all
}

// volumeOf is the CSI volume of a claim, or the one that its class will make.
func (v *volumeCounts) volumeOf(pvc *corev1.PersistentVolumeClaim) (csiVolume, bool) {
	if pv := v.volume(pvc.Spec.VolumeName); pv != nil {
		if pv.Spec.CSI == nil {
			return csiVolume{}, false
		}
		return csiVolume{driver: pv.Spec.CSI.Driver, handle: pv.Spec.CSI.VolumeHandle}, true
	}
	class, err := registry.For[*storagev1.StorageClass](v.handle.Registry).Cached(context.Background(), "", core.StorageClassOf(pvc))
	if err != nil {
		return csiVolume{}, false
	}
	return csiVolume{driver: class.Provisioner, handle: pvc.Namespace + "/" + pvc.Name, unbound: true}, true
}

// UpdatePods counts the volumes of pods, of those that are being deleted too.
func (v *volumeCounts) UpdatePods(n *framework.NodeInfo, sig *framework.PodSignature, by int, _ bool) {
	if v.limits[n.Name] == nil {
		return
	}
	all, known := v.bySignature[sig]
	if !known {
		all = v.volumesOf(sig.Pod)
		v.bySignature[sig] = all
	}
	for _, volume := range all {
		v.add(n.Name, volume, by)
	}
}

// DropSignature forgets a signature.
func (v *volumeCounts) DropSignature(sig *framework.PodSignature) { delete(v.bySignature, sig) }

func filterVolumeLimits(_ *framework.PreFilterState, own any, n *framework.NodeInfo) ([]string, bool) {
	v := own.(*volumeCounts)
	limits, there := v.limits[n.Name], v.onNode[n.Name]
	if limits == nil {
		return nil, false
	}
	count := map[string]int{}
	for volume := range there {
		count[volume.driver]++
	}
	for _, volume := range v.wanted {
		if there[volume] > 0 {
			continue
		}
		count[volume.driver]++
		if limit, has := limits[volume.driver]; has && count[volume.driver] > limit {
			return []string{"node(s) exceed max volume count"}, false
		}
	}
	return nil, false
}
