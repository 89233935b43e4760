package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Service is the kind of services.
var Service = &schema.Kind{
	Group: "", Version: "v1", Kind: "Service",
	Plural: "services", Singular: "service", ShortNames: []string{"svc"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "services/specs",
	New:        func() schema.Object { return &corev1.Service{} },
	NewList:    func() runtime.Object { return &corev1.ServiceList{} },

	Columns: serviceColumns, Row: serviceRow,

	HasStatus: true,
	Subresources: []schema.Subresource{
		{Name: "proxy", Kind: "ServiceProxyOptions", Verbs: []string{"create", "delete", "get", "patch", "update"}},
		{Name: "status", Kind: "Service", Verbs: []string{"get", "patch", "update"}},
	},
	UnconditionalUpdate: true,
	CreateOnUpdate:      true,
	ValidateName:        apivalidation.NameIsDNSLabel,

	Default:        schema.Do(defaultService),
	PrepareCreate:  schema.Do(prepareServiceCreate),
	PrepareUpdate:  schema.Do2(prepareServiceUpdate),
	PrepareStatus:  schema.Do2(prepareServiceStatus),
	Validate:       schema.Check(validateService),
	ValidateUpdate: schema.Check2(validateServiceUpdate),
	ValidateStatus: schema.Check2(validateServiceStatus),
	Warnings:       schema.Warn(serviceWarnings),
	Fields:         serviceFields,
}

var serviceFields = []schema.Field{
	schema.FieldOf("spec.clusterIP", func(svc *corev1.Service) string { return svc.Spec.ClusterIP }),
	schema.FieldOf("spec.type", func(svc *corev1.Service) string { return string(svc.Spec.Type) }),
}
