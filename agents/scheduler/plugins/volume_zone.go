package plugins

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/scheduler/framework"
	"gantry/registry"
	"gantry/schema/volumes"
)

// zoneLabels are the labels by which volumes and nodes have a place, with the name that replaced them.
var zoneLabels = map[string]string{
	corev1.LabelFailureDomainBetaZone:   corev1.LabelTopologyZone,
	corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
	corev1.LabelTopologyZone:            corev1.LabelTopologyZone,
	corev1.LabelTopologyRegion:          corev1.LabelTopologyRegion,
}

// zoneDelimiter is between the zones in a label of a volume that is in several.
const zoneDelimiter = "__"

// volumePlace is a label of a volume: a node with any of zoneLabels has to have one of the values.
type volumePlace struct {
	label  string
	values []string
}

// preFilterZones returns the places of the volumes that a signature's claims are bound to; nil: they have none. What is not bound is
// VolumeBinding's.
func preFilterZones(data any, _ *framework.ClusterState, sig *framework.PodSignature) any {
	h, ok := data.(framework.Handle)
	if !ok || h.Registry == nil {
		return nil
	}
	var all []volumePlace
	for _, name := range volumes.ClaimNames(sig.Pod) {
		pvc, err := registry.For[*corev1.PersistentVolumeClaim](h.Registry).Cached(context.Background(), sig.Pod.Namespace, name)
		if err != nil || pvc.Spec.VolumeName == "" {
			continue
		}
		if pv, err := registry.For[*corev1.PersistentVolume](h.Registry).Cached(context.Background(), "", pvc.Spec.VolumeName); err == nil {
			all = append(all, placesOf(pv)...)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// placesOf reads the labels of a volume. One with an empty zone says nothing.
func placesOf(pv *corev1.PersistentVolume) (all []volumePlace) {
	for label := range zoneLabels {
		value, has := pv.Labels[label]
		if !has {
			continue
		}
		p := volumePlace{label: label}
		for zone := range strings.SplitSeq(value, zoneDelimiter) {
			p.values = append(p.values, strings.TrimSpace(zone))
		}
		if !slices.Contains(p.values, "") {
			all = append(all, p)
		}
	}
	return all
}

func filterZones(_ *framework.PreFilterState, own any, n *framework.NodeInfo) ([]string, bool) {
	placed := false
	for label := range zoneLabels {
		_, has := n.Label(label)
		placed = placed || has
	}
	if !placed {
		return nil, false // all nodes are in one zone
	}
	for _, p := range own.([]volumePlace) {
		value, has := n.Label(p.label)
		if !has {
			value, has = n.Label(zoneLabels[p.label])
		}
		if !has || !slices.Contains(p.values, value) {
			return []string{"node(s) had no available volume zone"}, true
		}
	}
	return nil, false
}
