package quota

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"gantry/schema"
	"gantry/schema/core"
)

// Matches tells whether an object is in all scopes of a quota. A scope that says nothing about the object's kind excludes it.
func Matches(q *corev1.ResourceQuotaSpec, obj schema.Object) bool {
	for _, scope := range q.Scopes {
		if !inScope(corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists}, obj) {
			return false
		}
	}
	if q.ScopeSelector == nil {
		return true
	}
	for _, r := range q.ScopeSelector.MatchExpressions {
		if !inScope(r, obj) {
			return false
		}
	}
	return true
}

func inScope(r corev1.ScopedResourceSelectorRequirement, obj schema.Object) bool {
	switch o := obj.(type) {
	case *corev1.Pod:
		return podInScope(r, o)
	case *corev1.PersistentVolumeClaim:
		return r.ScopeName == corev1.ResourceQuotaScopeVolumeAttributesClass && anyMatches(r, attributesClasses(o))
	}
	return false
}

func podInScope(r corev1.ScopedResourceSelectorRequirement, pod *corev1.Pod) bool {
	switch r.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return IsTerminating(pod)
	case corev1.ResourceQuotaScopeNotTerminating:
		return !IsTerminating(pod)
	case corev1.ResourceQuotaScopeBestEffort:
		return isBestEffort(pod)
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !isBestEffort(pod)
	case corev1.ResourceQuotaScopePriorityClass:
		var classes []string
		if pod.Spec.PriorityClassName != "" {
			classes = []string{pod.Spec.PriorityClassName}
		}
		return anyMatches(r, classes)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossesNamespaces(pod)
	}
	return false
}

// isBestEffort: the class is in the status from the beginning; a pod that was not stored yet has none.
func isBestEffort(pod *corev1.Pod) bool {
	class := pod.Status.QOSClass
	if class == "" {
		class = core.QOS(pod)
	}
	return class == corev1.PodQOSBestEffort
}

// attributesClasses are the volume attributes classes that a claim has, had last, or is to get.
func attributesClasses(claim *corev1.PersistentVolumeClaim) (names []string) {
	for _, name := range []*string{claim.Spec.VolumeAttributesClassName, claim.Status.CurrentVolumeAttributesClassName} {
		if name != nil && *name != "" {
			names = append(names, *name)
		}
	}
	if m := claim.Status.ModifyVolumeStatus; m != nil && m.TargetVolumeAttributesClassName != "" {
		names = append(names, m.TargetVolumeAttributesClassName)
	}
	return names
}

// anyMatches tells whether a scope's selector selects one of the values, or having none. A selector that is not valid selects nothing.
func anyMatches(r corev1.ScopedResourceSelectorRequirement, values []string) bool {
	operator, known := map[corev1.ScopeSelectorOperator]selection.Operator{
		corev1.ScopeSelectorOpIn: selection.In, corev1.ScopeSelectorOpNotIn: selection.NotIn,
		corev1.ScopeSelectorOpExists: selection.Exists, corev1.ScopeSelectorOpDoesNotExist: selection.DoesNotExist,
	}[r.Operator]
	if !known {
		return false
	}
	requirement, err := labels.NewRequirement(string(r.ScopeName), operator, r.Values)
	if err != nil {
		return false
	}
	for _, v := range values {
		if requirement.Matches(labels.Set{string(r.ScopeName): v}) {
			return true
		}
	}
	return len(values) == 0 && requirement.Matches(labels.Set{})
}
