package volumes

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"gantry/schema/core"
)

// Search says which volumes BestFor may return.
type Search struct {
	// Node restricts the search to volumes that this node reaches; nil: that does not matter.
	Node *corev1.Node
	// ReservedOnly leaves out volumes that are not reserved for the claim: the scheduler chooses among these.
	ReservedOnly bool
	// Taken are names of volumes that are used already.
	Taken map[string]bool
}

// BestFor returns the volume that a claim should be bound to: one that is reserved for it or bound to it, else the smallest that is available
// and has what the claim requests, with as few access modes as possible; nil: none.
func BestFor(pvc *corev1.PersistentVolumeClaim, all []*corev1.PersistentVolume, s Search) (best *corev1.PersistentVolume, err error) {
	selector, err := metav1.LabelSelectorAsSelector(pvc.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("error creating internal label selector for claim: %s/%s: %w", pvc.Namespace, pvc.Name, err)
	}
	if pvc.Spec.Selector == nil {
		selector = labels.Everything()
	}
	for _, pv := range all {
		if s.Taken[pv.Name] || pv.DeletionTimestamp != nil || pv.Spec.ClaimRef != nil && !BoundTo(pv, pvc) || !suits(pv, pvc) {
			continue
		}
		if BoundTo(pv, pvc) {
			if s.Node != nil && MatchesNode(pv, s.Node.Labels) != nil {
				return nil, nil
			}
			return pv, nil
		}
		if s.ReservedOnly || pv.Status.Phase != corev1.VolumeAvailable || !selector.Matches(labels.Set(pv.Labels)) ||
			ClassOf(pv) != core.StorageClassOf(pvc) || !hasModes(pv, pvc) {
			continue
		}
		if better(pv, best) && (s.Node == nil || MatchesNode(pv, s.Node.Labels) == nil) {
			best = pv
		}
	}
	return best, nil
}

// suits tells whether a volume is large enough and of the claim's volume mode and attributes class.
func suits(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) bool {
	has, wants := pv.Spec.Capacity[corev1.ResourceStorage], pvc.Spec.Resources.Requests[corev1.ResourceStorage]
	return has.Cmp(wants) >= 0 && SameMode(pv, pvc) && value(pv.Spec.VolumeAttributesClassName) == value(pvc.Spec.VolumeAttributesClassName)
}

// better tells whether a comes before b: by number of access modes, then size, then name. b may be nil.
func better(a, b *corev1.PersistentVolume) bool {
	if b == nil {
		return true
	}
	if n, m := len(a.Spec.AccessModes), len(b.Spec.AccessModes); n != m {
		return n < m
	}
	size, other := a.Spec.Capacity[corev1.ResourceStorage], b.Spec.Capacity[corev1.ResourceStorage]
	if c := size.Cmp(other); c != 0 {
		return c < 0
	}
	return a.Name < b.Name
}

// SameMode tells whether a volume has the volume mode that a claim wants.
func SameMode(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) bool {
	return modeOf(pv.Spec.VolumeMode) == modeOf(pvc.Spec.VolumeMode)
}

func modeOf(m *corev1.PersistentVolumeMode) corev1.PersistentVolumeMode {
	if m == nil {
		return corev1.PersistentVolumeFilesystem
	}
	return *m
}

func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func hasModes(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) bool {
	return !slices.ContainsFunc(pvc.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool { return !slices.Contains(pv.Spec.AccessModes, m) })
}

// Satisfies returns in Kubernetes' words why a volume that a claim names is not what the claim wants; nil: it is.
func Satisfies(pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) error {
	has, wants := pv.Spec.Capacity[corev1.ResourceStorage], pvc.Spec.Resources.Requests[corev1.ResourceStorage]
	switch {
	case pv.DeletionTimestamp != nil:
		return fmt.Errorf("the volume is marked for deletion %q", pv.Name)
	case has.Cmp(wants) < 0:
		return errors.New("requested PV is too small")
	case ClassOf(pv) != core.StorageClassOf(pvc):
		return errors.New("storageClassName does not match")
	case value(pv.Spec.VolumeAttributesClassName) != value(pvc.Spec.VolumeAttributesClassName):
		return errors.New("volumeAttributesClassName does not match")
	case !SameMode(pv, pvc):
		return errors.New("incompatible volumeMode")
	case !hasModes(pv, pvc):
		return errors.New("incompatible accessMode")
	}
	return nil
}

// MatchesNode returns why a node with these labels does not reach a volume; nil: it does.
func MatchesNode(pv *corev1.PersistentVolume, set map[string]string) error {
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil {
		return nil
	}
	selector, err := nodeaffinity.NewNodeSelector(pv.Spec.NodeAffinity.Required)
	if err != nil {
		return err
	}
	if !selector.Match(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: set}}) {
		return errors.New("no matching NodeSelectorTerms")
	}
	return nil
}

// InTopologies tells whether labels match one of the terms; no terms match all.
func InTopologies(terms []corev1.TopologySelectorTerm, set map[string]string) bool {
	return len(terms) == 0 || slices.ContainsFunc(terms, func(t corev1.TopologySelectorTerm) bool {
		return len(t.MatchLabelExpressions) > 0 && !slices.ContainsFunc(t.MatchLabelExpressions, func(e corev1.TopologySelectorLabelRequirement) bool {
			v, has := set[e.Key]
			return !has || !slices.Contains(e.Values, v)
		})
	})
}
