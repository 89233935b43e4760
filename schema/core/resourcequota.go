package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ResourceQuota is the kind of resourcequotas.
var ResourceQuota = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "ResourceQuota",
		New:     func() schema.Object { return &corev1.ResourceQuota{} },
		NewList: func() runtime.Object { return &corev1.ResourceQuotaList{} },
		Columns: resourceQuotaColumns, Row: resourceQuotaRow,
		Default: schema.Preparation(defaultResourceQuota),
	},
	Plural: "resourcequotas", Singular: "resourcequota", ShortNames: []string{"quota"}, Categories: []string{},
	Namespaced: true,
	Prefix:     "resourcequotas",

	Subresources: []schema.Subresource{
		schema.Status(func(q, old *corev1.ResourceQuota) { q.Spec = old.Spec }, validateResourceQuotaStatus),
	},
	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(func(q *corev1.ResourceQuota) { q.Status = corev1.ResourceQuotaStatus{} }),
	PrepareUpdate:  schema.UpdatePreparation(func(q, old *corev1.ResourceQuota) { q.Status = old.Status }),
	Validate:       schema.Validation(validateResourceQuota),
	ValidateUpdate: schema.UpdateValidation(validateResourceQuotaUpdate),
	Warnings:       schema.Warnings(resourceQuotaWarnings),
}

func defaultResourceQuota(q *corev1.ResourceQuota) {
	roundResources(q.Spec.Hard)
	roundResources(q.Status.Hard)
	roundResources(q.Status.Used)
}

// resourceQuotaWarnings warns about requests above limits.
func resourceQuotaWarnings(q, old *corev1.ResourceQuota) (w []string) {
	if old != nil {
		return nil
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceStorage, corev1.ResourceEphemeralStorage} {
		requests, limits := "requests."+name, "limits."+name
		request, requested := q.Spec.Hard[requests]
		if !requested && isCPUOrMemory(name) {
			requests = name
			request, requested = q.Spec.Hard[requests]
		}
		if limit, limited := q.Spec.Hard[limits]; requested && limited && request.Cmp(limit) > 0 {
			w = append(w, fmt.Sprintf("ResourceQuota %s (%s) should be less than %s (%s)", requests, request.String(), limits, limit.String()))
		}
	}
	return w
}
