package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/schema/internal/check"
)

// stableLabels are the labels of nodes that were beta, by the names that they had.
var stableLabels = map[string]string{
	corev1.LabelFailureDomainBetaZone:   corev1.LabelTopologyZone,
	corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
	"beta.kubernetes.io/os":             corev1.LabelOSStable,
	"beta.kubernetes.io/arch":           corev1.LabelArchStable,
	corev1.LabelInstanceType:            corev1.LabelInstanceTypeStable,
}

// sameNodes tells whether two affinities select the same nodes: labels may have got their stable names.
func sameNodes(is, was *corev1.VolumeNodeAffinity) bool {
	was = was.DeepCopy()
	if is != nil && is.Required != nil && was.Required != nil {
		for i := range min(len(is.Required.NodeSelectorTerms), len(was.Required.NodeSelectorTerms)) {
			t, old := &is.Required.NodeSelectorTerms[i], &was.Required.NodeSelectorTerms[i]
			renameKeys(t.MatchExpressions, old.MatchExpressions)
			renameKeys(t.MatchFields, old.MatchFields)
		}
	}
	return equality.Semantic.DeepEqual(is, was)
}

func renameKeys(is, was []corev1.NodeSelectorRequirement) {
	for i := range min(len(is), len(was)) {
		if name := stableLabels[was[i].Key]; name != "" && name == is[i].Key {
			was[i].Key = name
		}
	}
}

func hasInvalidValue(a *corev1.VolumeNodeAffinity) bool {
	if a == nil || a.Required == nil {
		return false
	}
	for _, t := range a.Required.NodeSelectorTerms {
		for _, e := range t.MatchExpressions {
			for _, v := range e.Values {
				if !check.IsLabelValue(v) {
					return true
				}
			}
		}
	}
	return false
}
