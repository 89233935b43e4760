package discovery

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// EndpointSlice is the kind of endpointslices.
var EndpointSlice = &schema.Kind{
	Version: schema.Version{
		Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice",
		New:     func() schema.Object { return &discoveryv1.EndpointSlice{} },
		NewList: func() runtime.Object { return &discoveryv1.EndpointSliceList{} },
		Columns: endpointSliceColumns, Row: endpointSliceRow,
		Default: schema.Preparation(defaultEndpointSlice),
	},
	Plural: "endpointslices", Singular: "endpointslice", ShortNames: []string{}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreate,
	Namespaced: true,
	Prefix:     "endpointslices",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareEndpointSliceCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareEndpointSliceUpdate),
	Validate:       schema.Validation(validateEndpointSlice),
	ValidateUpdate: schema.UpdateValidation(validateEndpointSliceUpdate),
	Warnings:       schema.Warnings(endpointSliceWarnings),
}

func defaultEndpointSlice(s *discoveryv1.EndpointSlice) {
	if len(s.Endpoints) == 0 {
		s.Endpoints = nil // as Kubernetes' storage has it: an empty list is null
	}
	if len(s.Ports) == 0 {
		s.Ports = nil
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Name == nil {
			unnamed := ""
			p.Name = &unnamed
		}
		if p.Protocol == nil {
			tcp := corev1.ProtocolTCP
			p.Protocol = &tcp
		}
	}
}

func prepareEndpointSliceCreate(s *discoveryv1.EndpointSlice) {
	s.Generation = 1
	dropTopology(s)
}

// prepareEndpointSliceUpdate counts changes of anything but metadata, and of labels.
func prepareEndpointSliceUpdate(s, old *discoveryv1.EndpointSlice) {
	s.Generation = old.Generation
	same := equality.Semantic.DeepEqual(s.Endpoints, old.Endpoints)
	if !same || s.AddressType != old.AddressType || !equality.Semantic.DeepEqual(s.Ports, old.Ports) || !equality.Semantic.DeepEqual(s.Labels, old.Labels) {
		s.Generation++
	}
	if !same {
		dropTopology(s)
	}
}

// dropTopology clears deprecatedTopology, a field of v1beta1 that v1 reads and does not write.
func dropTopology(s *discoveryv1.EndpointSlice) {
	for i := range s.Endpoints {
		s.Endpoints[i].DeprecatedTopology = nil
	}
}
