package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Endpoints is the kind of endpoints.
var Endpoints = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "Endpoints",
		New:     func() schema.Object { return &corev1.Endpoints{} },
		NewList: func() runtime.Object { return &corev1.EndpointsList{} },
		Columns: endpointsColumns, Row: endpointsRow,
		Default: schema.Preparation(defaultEndpoints),

		DeprecationWarning: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
	},
	Plural: "endpoints", Singular: "endpoints", ShortNames: []string{"ep"}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "services/endpoints",

	UnconditionalUpdate: true,
	CreateOnUpdate:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateEndpoints),
	ValidateUpdate: schema.UpdateValidation(validateEndpointsUpdate),
	Warnings:       schema.Warnings(endpointsWarnings),
}

func defaultEndpoints(ep *corev1.Endpoints) {
	for i := range ep.Subsets {
		for j := range ep.Subsets[i].Ports {
			setIfZero(&ep.Subsets[i].Ports[j].Protocol, corev1.ProtocolTCP)
		}
	}
}
