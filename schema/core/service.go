package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Service is the kind of services.
var Service = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "Service",
		New:     func() schema.Object { return &corev1.Service{} },
		NewList: func() runtime.Object { return &corev1.ServiceList{} },
		Columns: serviceColumns, Row: serviceRow,
		Default: schema.Preparation(defaultService),
		Fields:  serviceFields,
	},
	Plural: "services", Singular: "service", ShortNames: []string{"svc"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "services/specs",

	Subresources: []schema.Subresource{
		schema.Status(prepareServiceStatus, validateServiceStatus),
	},
	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	CreateOnUpdate:      true,
	ValidateName:        apivalidation.NameIsDNSLabel,

	PrepareCreate:  schema.Preparation(prepareServiceCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareServiceUpdate),
	Validate:       schema.Validation(validateService),
	ValidateUpdate: schema.UpdateValidation(validateServiceUpdate),
	Warnings:       schema.Warnings(serviceWarnings),
}

var serviceFields = []schema.Field{
	schema.FieldOf("spec.clusterIP", func(svc *corev1.Service) string { return svc.Spec.ClusterIP }),
	schema.FieldOf("spec.type", func(svc *corev1.Service) string { return string(svc.Spec.Type) }),
}
