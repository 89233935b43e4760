package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

var templatePath = specPath.Child("template")

func validateReplicationController(rc *corev1.ReplicationController) field.ErrorList {
	return checkReplicationController(rc).List
}

// validateReplicationControllerUpdate checks the spec, and that what an annotation of the old one calls unconvertible did not change.
func validateReplicationControllerUpdate(rc, old *corev1.ReplicationController) field.ErrorList {
	f := checkReplicationController(rc)
	for _, key := range sortedKeys(old.Annotations) {
		name, ok := unconvertible(key)
		switch {
		case !ok:
		case !strings.Contains(name, "selector"):
			f.Add(&field.Error{Type: field.ErrorTypeNotFound, BadValue: old.Annotations[key], Field: name, Detail: "unknown non-convertible field"})
		case !equality.Semantic.DeepEqual(rc.Spec.Selector, old.Spec.Selector):
			f.Invalid(specPath.Child("selector"), rc.Spec.Selector, "cannot update non-convertible selector")
		}
	}
	return f.List
}

// unconvertible is the field that an annotation names which a ReplicaSet has and a ReplicationController has not.
func unconvertible(key string) (name string, ok bool) {
	domain, name, ok := strings.Cut(key, "/")
	return name, ok && strings.HasPrefix(domain, "non-convertible.kubernetes.io") && !strings.Contains(name, "/")
}

func checkReplicationController(rc *corev1.ReplicationController) *check.Errors {
	var f check.Errors
	spec := &rc.Spec
	f.NotNegative(specPath.Child("minReadySeconds"), int64(spec.MinReadySeconds))
	if len(spec.Selector) == 0 {
		f.Required(specPath.Child("selector"), "")
	}
	if replicas := specPath.Child("replicas"); spec.Replicas == nil {
		f.Required(replicas, "")
	} else {
		f.NotNegative(replicas, int64(*spec.Replicas))
	}
	t := spec.Template
	if t == nil {
		f.Required(templatePath, "")
		return &f
	}
	if s := labels.SelectorFromSet(spec.Selector); !s.Empty() && !s.Matches(labels.Set(t.Labels)) {
		f.Invalid(templatePath.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`")
	}
	f.Add(ValidatePodTemplate(t, templatePath)...)
	check.OneOf(&f, templatePath.Child("spec", "restartPolicy"), t.Spec.RestartPolicy, corev1.RestartPolicyAlways)
	if t.Spec.ActiveDeadlineSeconds != nil {
		f.Forbidden(templatePath.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in ReplicationController is not Supported")
	}
	return &f
}

func validateReplicationControllerStatus(rc, _ *corev1.ReplicationController) field.ErrorList {
	var f check.Errors
	s, p := &rc.Status, field.NewPath("status")
	parts := []struct {
		name string
		n    int32
	}{{"fullyLabeledReplicas", s.FullyLabeledReplicas}, {"readyReplicas", s.ReadyReplicas}, {"availableReplicas", s.AvailableReplicas}}
	f.NotNegative(p.Child("replicas"), int64(s.Replicas))
	for _, part := range parts {
		f.NotNegative(p.Child(part.name), int64(part.n))
	}
	f.NotNegative(p.Child("observedGeneration"), s.ObservedGeneration)
	for _, part := range parts {
		if part.n > s.Replicas {
			f.Invalid(p.Child(part.name), part.n, "cannot be greater than status.replicas")
		}
	}
	if s.AvailableReplicas > s.ReadyReplicas {
		f.Invalid(p.Child("availableReplicas"), s.AvailableReplicas, "cannot be greater than readyReplicas")
	}
	return f.List
}

// replicationControllerWarnings returns for an update the warnings about the template that it replaces, as Kubernetes does.
func replicationControllerWarnings(rc, old *corev1.ReplicationController) (w []string) {
	t := rc.Spec.Template
	if old == nil {
		w = NameWarnings(rc.Name)
	} else if t = old.Spec.Template; rc.Generation == old.Generation {
		return nil
	}
	if t == nil {
		return w
	}
	return append(w, PodWarnings(&t.ObjectMeta, &t.Spec, templatePath)...)
}

func boundReplicationController(rc *corev1.ReplicationController) field.ErrorList {
	if rc.Spec.Template == nil {
		return nil
	}
	return BoundPodSpec(&rc.Spec.Template.Spec, templatePath.Child("spec"))
}
