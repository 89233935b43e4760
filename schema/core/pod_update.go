package core

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// changeable lists what an update of a pod may change, as the error says it.
var changeable = strings.Join([]string{
	"`spec.containers[*].image`",
	"`spec.initContainers[*].image`",
	"`spec.activeDeadlineSeconds`",
	"`spec.tolerations` (only additions to existing tolerations)",
	"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
}, ",")

// validatePodUpdate checks a pod that replaces old. An unchanged spec is not validated again.
func validatePodUpdate(pod, old *corev1.Pod) field.ErrorList {
	same, annotations := sameSpec(&pod.Spec, &old.Spec), field.NewPath("metadata", "annotations")
	var c *podCheck
	if same {
		c = &podCheck{spec: &pod.Spec, meta: &pod.ObjectMeta, old: &old.Spec}
		c.podAnnotations(pod.Annotations, annotations)
	} else {
		c = checkPod(pod, old)
	}
	c.checkAnnotationUpdate(pod, old)
	c.podAnnotations(pod.Annotations, annotations) // again, as Kubernetes does it
	if same {
		return c.List
	}
	spec := field.NewPath("spec")
	if !c.sameContainers(pod.Spec.Containers, old.Spec.Containers, spec.Child("containers")) ||
		!c.sameContainers(pod.Spec.InitContainers, old.Spec.InitContainers, spec.Child("initContainers")) ||
		!c.deadlineShortens(pod.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds, spec.Child("activeDeadlineSeconds")) {
		return c.List
	}
	c.tolerationsAdded(pod.Spec.Tolerations, old.Spec.Tolerations, spec.Child("tolerations"))
	c.gatesRemoved(pod.Spec.SchedulingGates, old.Spec.SchedulingGates, spec.Child("schedulingGates"))
	rest := withoutChangeable(&pod.Spec, &old.Spec)
	if len(old.Spec.SchedulingGates) > 0 {
		c.gatedMayNarrow(rest, &old.Spec, spec)
	}
	if !equality.Semantic.DeepEqual(*rest, old.Spec) {
		c.Forbidden(spec, fmt.Sprintf("pod updates may not change fields other than %s\n%v", changeable, difference(old.Spec, *rest)))
	}
	return c.List
}

// difference describes what changed between two values; "" for large ones: comparing lines of text takes the square of their number.
func difference(old, is any) string {
	const most = 64 << 10 // bytes, as JSON
	for _, v := range []any{old, is} {
		if text, err := json.Marshal(v); err != nil || len(text) > most {
			return ""
		}
	}
	return diff.Diff(old, is)
}

// sameContainers is false where containers came or went: then there is nothing more to compare.
func (c *podCheck) sameContainers(list, old []corev1.Container, p *field.Path) bool {
	if len(list) != len(old) {
		c.Forbidden(p, "pod updates may not add or remove containers")
		return false
	}
	for i := range list {
		c.Set(p.Index(i).Child("image"), list[i].Image)
		c.checkImageSpace(&list[i], p.Index(i))
	}
	return true
}

// deadlineShortens is false where the deadline grew or is impossible.
func (c *podCheck) deadlineShortens(seconds, old *int64, p *field.Path) bool {
	if seconds == nil {
		if old != nil {
			c.Invalid(p, seconds, "must not update from a positive integer to nil value")
		}
		return true
	}
	if *seconds < 0 || *seconds > math.MaxInt32 {
		c.Range(p, *seconds, 0, math.MaxInt32)
		return false
	}
	if old != nil && *old < *seconds {
		c.Invalid(p, *seconds, "must be less than or equal to previous value")
		return false
	}
	return true
}

func (c *podCheck) tolerationsAdded(list, old []corev1.Toleration, p *field.Path) {
	has := make(map[corev1.Toleration]bool, len(list))
	for _, t := range list {
		t.TolerationSeconds = nil
		has[t] = true
	}
	for _, o := range old {
		if o.TolerationSeconds = nil; !has[o] {
			c.Forbidden(p, "existing toleration can not be modified except its tolerationSeconds")
			return
		}
	}
	c.checkTolerations(list, p)
}

func (c *podCheck) gatesRemoved(gates, old []corev1.PodSchedulingGate, p *field.Path) {
	had := make(map[string]bool, len(old))
	for _, g := range old {
		had[g.Name] = true
	}
	for i, g := range gates {
		if !had[g.Name] {
			c.Forbidden(p.Index(i).Child("name"), fmt.Sprintf("only deletion is allowed, but found new scheduling gate '%s'", g.Name))
		}
	}
}

// withoutChangeable is a copy of spec with what may change set back to old's. The lists of containers are of one length.
func withoutChangeable(spec, old *corev1.PodSpec) *corev1.PodSpec {
	rest := spec.DeepCopy()
	for i := range rest.Containers {
		rest.Containers[i].Image = old.Containers[i].Image
	}
	for i := range rest.InitContainers {
		rest.InitContainers[i].Image = old.InitContainers[i].Image
	}
	rest.ActiveDeadlineSeconds = old.ActiveDeadlineSeconds
	rest.SchedulingGates = old.SchedulingGates
	rest.Tolerations = old.Tolerations
	if o, n := old.TerminationGracePeriodSeconds, rest.TerminationGracePeriodSeconds; o != nil && n != nil && *o < 0 && *n == 1 {
		rest.TerminationGracePeriodSeconds = o
	}
	return rest
}

// gatedMayNarrow allows a pod with scheduling gates to restrict its nodes further: the node selector and the required
// node affinity of rest are checked for additions and set back to old's.
func (c *podCheck) gatedMayNarrow(rest, old *corev1.PodSpec, p *field.Path) {
	if !equality.Semantic.DeepEqual(rest.NodeSelector, old.NodeSelector) {
		for key, value := range old.NodeSelector {
			if v, ok := rest.NodeSelector[key]; !ok || v != value {
				c.Invalid(p.Child("nodeSelector"), rest.NodeSelector, "only additions to spec.nodeSelector are allowed (no mutations or deletions)")
				break
			}
		}
		rest.NodeSelector = old.NodeSelector
	}
	was, is := nodeAffinity(old), nodeAffinity(rest)
	if equality.Semantic.DeepEqual(was, is) {
		return
	}
	c.affinityNarrows(is, was, p.Child("affinity", "nodeAffinity"))
	switch a := rest.Affinity; {
	case a == nil && was != nil:
		rest.Affinity = &corev1.Affinity{NodeAffinity: was}
	case a != nil && old.Affinity == nil && a.PodAffinity == nil && a.PodAntiAffinity == nil:
		rest.Affinity = nil
	case a != nil:
		a.NodeAffinity = was
	}
}

func nodeAffinity(spec *corev1.PodSpec) *corev1.NodeAffinity {
	if spec.Affinity == nil {
		return nil
	}
	return spec.Affinity.NodeAffinity
}

func (c *podCheck) affinityNarrows(is, was *corev1.NodeAffinity, p *field.Path) {
	before := requiredTerms(was)
	if len(before) == 0 {
		return
	}
	terms, after := p.Child(required, "nodeSelectorTerms"), requiredTerms(is)
	if len(before) != len(after) {
		c.Invalid(terms, after, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
		return
	}
	for i := range before {
		if !termNarrows(&after[i], &before[i]) {
			c.Invalid(terms.Index(i), after[i], "only additions are allowed (no mutations or deletions)")
		}
	}
}

func requiredTerms(a *corev1.NodeAffinity) []corev1.NodeSelectorTerm {
	if a == nil || a.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

// termNarrows tells that is has all that was had, in its order and at its beginning. A term of nothing matches no node
// and stays so.
func termNarrows(is, was *corev1.NodeSelectorTerm) bool {
	if len(was.MatchExpressions) == 0 && len(was.MatchFields) == 0 {
		return len(is.MatchExpressions) == 0 && len(is.MatchFields) == 0
	}
	return begins(is.MatchExpressions, was.MatchExpressions) && begins(is.MatchFields, was.MatchFields)
}

func begins(list, with []corev1.NodeSelectorRequirement) bool {
	return len(list) >= len(with) && (len(with) == 0 || equality.Semantic.DeepEqual(list[:len(with)], with))
}
