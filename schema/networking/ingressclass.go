package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// IngressClass is the kind of ingressclasses.
var IngressClass = &schema.Kind{
	Version: schema.Version{
		Group: networkingv1.GroupName, Version: "v1", Kind: "IngressClass",
		New:     func() schema.Object { return &networkingv1.IngressClass{} },
		NewList: func() runtime.Object { return &networkingv1.IngressClassList{} },
		Columns: ingressClassColumns, Row: ingressClassRow,
		Default: schema.Preparation(defaultIngressClass),
	},
	Plural: "ingressclasses", Singular: "ingressclass", ShortNames: []string{}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Prefix:     "ingressclasses",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(func(c *networkingv1.IngressClass) { c.Generation = 1 }),
	PrepareUpdate:  schema.UpdatePreparation(prepareIngressClassUpdate),
	Validate:       schema.Validation(validateIngressClass),
	ValidateUpdate: schema.UpdateValidation(validateIngressClassUpdate),
}

func defaultIngressClass(c *networkingv1.IngressClass) {
	if c.Spec.Parameters != nil && c.Spec.Parameters.Scope == nil {
		scope := networkingv1.IngressClassParametersReferenceScopeCluster
		c.Spec.Parameters.Scope = &scope
	}
}

func prepareIngressClassUpdate(c, old *networkingv1.IngressClass) {
	c.Generation = old.Generation
	if !equality.Semantic.DeepEqual(c.Spec, old.Spec) {
		c.Generation++
	}
}
