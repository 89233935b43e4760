// Package scheduling has the kinds of scheduling.k8s.io: priority classes.
package scheduling

import (
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// PriorityClass is the kind of priority classes.
var PriorityClass = &schema.Kind{
	Version: schema.Version{
		Group: schedulingv1.GroupName, Version: "v1", Kind: "PriorityClass",
		New:     func() schema.Object { return &schedulingv1.PriorityClass{} },
		NewList: func() runtime.Object { return &schedulingv1.PriorityClassList{} },
		Columns: priorityClassColumns, Row: priorityClassRow,
		Default: schema.Preparation(defaultPriorityClass),
	},
	Plural: "priorityclasses", Singular: "priorityclass", ShortNames: []string{"pc"},
	Prefix: "priorityclasses",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(func(c *schedulingv1.PriorityClass) { c.Generation = 1 }),
	Validate:       schema.Validation(validatePriorityClass),
	ValidateUpdate: schema.UpdateValidation(validatePriorityClassUpdate),
}

func defaultPriorityClass(c *schedulingv1.PriorityClass) {
	if c.PreemptionPolicy == nil {
		policy := corev1.PreemptLowerPriority
		c.PreemptionPolicy = &policy
	}
}

// systemClasses are the classes that every cluster has. Others have neither their prefix nor such values.
var systemClasses = []schedulingv1.PriorityClass{
	{ObjectMeta: metav1.ObjectMeta{Name: "system-node-critical"}, Value: systemCritical + 1000,
		Description: "Used for system critical pods that must not be moved from their current node."},
	{ObjectMeta: metav1.ObjectMeta{Name: "system-cluster-critical"}, Value: systemCritical,
		Description: "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."},
}

const (
	highestUserDefinable = 1_000_000_000
	systemCritical       = 2 * highestUserDefinable
	systemPrefix         = "system-"
)

// SystemClasses are new objects of the classes that every cluster has.
func SystemClasses() (list []*schedulingv1.PriorityClass) {
	for i := range systemClasses {
		list = append(list, systemClasses[i].DeepCopy())
	}
	return list
}

// SystemClass is the class of a name among those that every cluster has, read-only; nil: it is none.
func SystemClass(name string) *schedulingv1.PriorityClass {
	for i := range systemClasses {
		if systemClasses[i].Name == name {
			return &systemClasses[i]
		}
	}
	return nil
}
