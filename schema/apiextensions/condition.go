package apiextensions

import (
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Condition is a condition of a definition.
type Condition = apiextensionsv1.CustomResourceDefinitionCondition

// FindCondition is the condition of a type; nil where there is none.
func FindCondition(d *definition, t apiextensionsv1.CustomResourceDefinitionConditionType) *Condition {
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == t {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}

// HasCondition tells whether a condition is true.
func HasCondition(d *definition, t apiextensionsv1.CustomResourceDefinitionConditionType) bool {
	c := FindCondition(d, t)
	return c != nil && c.Status == apiextensionsv1.ConditionTrue
}

// SetCondition sets a condition; the time of its transition is now where its status changes.
func SetCondition(d *definition, c Condition, now time.Time) {
	c.LastTransitionTime = metav1.NewTime(now).Rfc3339Copy()
	was := FindCondition(d, c.Type)
	if was == nil {
		d.Status.Conditions = append(d.Status.Conditions, c)
		return
	}
	if was.Status == c.Status && !was.LastTransitionTime.IsZero() {
		c.LastTransitionTime = was.LastTransitionTime
	}
	c.ObservedGeneration = was.ObservedGeneration
	*was = c
}

// RemoveCondition removes a condition.
func RemoveCondition(d *definition, t apiextensionsv1.CustomResourceDefinitionConditionType) {
	d.Status.Conditions = slices.DeleteFunc(d.Status.Conditions, func(c Condition) bool { return c.Type == t })
}

// BeginDeletion makes d, which is to be deleted, wait for the removal of its objects.
func BeginDeletion(d *definition, now time.Time) {
	SetCondition(d, Condition{
		Type: apiextensionsv1.Terminating, Status: apiextensionsv1.ConditionTrue, Reason: "InstanceDeletionPending",
		Message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
	}, now)
	if !slices.Contains(d.Finalizers, apiextensionsv1.CustomResourceCleanupFinalizer) {
		d.Finalizers = append(d.Finalizers, apiextensionsv1.CustomResourceCleanupFinalizer)
	}
}
