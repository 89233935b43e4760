package apps

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// What the kinds with a selector and a pod template have in common.

func checkReplicas(f *check.Errors, n *int32, p *field.Path) {
	if n != nil {
		f.NotNegative(p.Child("replicas"), int64(*n))
	}
}

// checkSelector checks the selector of a Deployment or a ReplicaSet and that the template's pods match it.
func checkSelector(f *check.Errors, s *metav1.LabelSelector, t *corev1.PodTemplateSpec, p *field.Path) {
	at := p.Child("selector")
	checkSetSelector(f, s, "deployment", at)
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		f.Invalid(at, s, "invalid label selector")
		return
	}
	template := p.Child("template")
	checkSelected(f, t, selector, template)
	f.Add(core.ValidatePodTemplate(t, template)...)
	checkRunsForever(f, t, "ReplicaSet", template)
}

// checkSetSelector checks a selector that must be there and select by something.
func checkSetSelector(f *check.Errors, s *metav1.LabelSelector, kind string, p *field.Path) {
	if s == nil {
		f.Required(p, "")
		return
	}
	f.Add(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, p)...)
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		f.Invalid(p, s, "empty selector is invalid for "+kind)
	}
}

// checkSelected checks that the template's pods match the selector.
func checkSelected(f *check.Errors, t *corev1.PodTemplateSpec, selector labels.Selector, p *field.Path) {
	if !selector.Empty() && !selector.Matches(labels.Set(t.Labels)) {
		f.Invalid(p.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`")
	}
}

// checkRunsForever checks that nothing ends the template's pods.
func checkRunsForever(f *check.Errors, t *corev1.PodTemplateSpec, kind string, p *field.Path) {
	check.OneOf(f, p.Child("spec", "restartPolicy"), t.Spec.RestartPolicy, corev1.RestartPolicyAlways)
	if t.Spec.ActiveDeadlineSeconds != nil {
		f.Forbidden(p.Child("spec", "activeDeadlineSeconds"), fmt.Sprintf("activeDeadlineSeconds in %s is not Supported", kind))
	}
}

type counts []struct {
	name string
	n    int64
}

func value(n *int32) int64 {
	if n == nil {
		return 0
	}
	return int64(*n)
}

func checkCounts(f *check.Errors, p *field.Path, list counts) {
	for _, c := range list {
		f.NotNegative(p.Child(c.name), c.n)
	}
}

// checkParts checks that parts of the replicas are not more than all of them.
func checkParts(f *check.Errors, p *field.Path, all int32, parts counts) {
	for _, part := range parts {
		if part.n > int64(all) {
			f.Invalid(p.Child(part.name), part.n, "cannot be greater than status.replicas")
		}
	}
}

func checkAvailable(f *check.Errors, p *field.Path, available, ready int32) {
	if available > ready {
		f.Invalid(p.Child("availableReplicas"), available, "cannot be greater than readyReplicas")
	}
}

// checkCollisions checks that a count of collisions does not fall.
func checkCollisions(f *check.Errors, n, old *int32, p *field.Path) {
	if old != nil && (n == nil || *n < *old) {
		f.Invalid(p.Child("collisionCount"), value(n), "cannot be decremented")
	}
}

// templateWarnings returns none for an update that does not change the spec.
func templateWarnings(obj metav1.Object, t *corev1.PodTemplateSpec, create, same bool) (w []string) {
	if same {
		return nil
	}
	if create {
		w = core.NameWarnings(obj.GetName())
	}
	return append(w, core.PodWarnings(&t.ObjectMeta, &t.Spec, templatePath)...)
}

var (
	templatePath = field.NewPath("spec", "template")
	templateSpec = templatePath.Child("spec")
)
