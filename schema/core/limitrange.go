package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// LimitRange is the kind of limitranges.
var LimitRange = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "LimitRange",
		New:     func() schema.Object { return &corev1.LimitRange{} },
		NewList: func() runtime.Object { return &corev1.LimitRangeList{} },
		Default: schema.Preparation(defaultLimitRange),
	},
	Plural: "limitranges", Singular: "limitrange", ShortNames: []string{"limits"}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreate,
	Namespaced: true,
	Prefix:     "limitranges",

	UnconditionalUpdate: true,
	CreateOnUpdate:      true,
	NamedByUUID:         true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateLimitRange),
	ValidateUpdate: schema.UpdateValidation(validateLimitRangeUpdate),
}

func defaultLimitRange(r *corev1.LimitRange) {
	if len(r.Spec.Limits) == 0 {
		r.Spec.Limits = nil // as Kubernetes stores it: limits are shown even where there are none
	}
	for i := range r.Spec.Limits {
		l := &r.Spec.Limits[i]
		if l.Type == corev1.LimitTypeContainer {
			defaultContainerLimits(l)
		}
		for _, list := range []corev1.ResourceList{l.Max, l.Min, l.Default, l.DefaultRequest, l.MaxLimitRequestRatio} {
			roundResources(list)
		}
	}
}

// defaultContainerLimits makes the most that a container may have its limit, and that, or the least, its request.
func defaultContainerLimits(l *corev1.LimitRangeItem) {
	if l.Default == nil {
		l.Default = corev1.ResourceList{}
	}
	if l.DefaultRequest == nil {
		l.DefaultRequest = corev1.ResourceList{}
	}
	addMissing(l.Default, l.Max)
	addMissing(l.DefaultRequest, l.Default)
	addMissing(l.DefaultRequest, l.Min)
}

func addMissing(list, from corev1.ResourceList) {
	for name, q := range from {
		if _, there := list[name]; !there {
			list[name] = q.DeepCopy()
		}
	}
}
