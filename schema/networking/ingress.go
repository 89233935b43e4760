package networking

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

// Ingress is the kind of ingresses.
var Ingress = &schema.Kind{
	Version: schema.Version{
		Group: networkingv1.GroupName, Version: "v1", Kind: "Ingress",
		New:     func() schema.Object { return &networkingv1.Ingress{} },
		NewList: func() runtime.Object { return &networkingv1.IngressList{} },
		Columns: ingressColumns, Row: ingressRow,
	},
	Plural: "ingresses", Singular: "ingress", ShortNames: []string{"ing"}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "ingress",

	Subresources: []schema.Subresource{
		schema.Status(prepareIngressStatus, validateIngressStatus).WithWarnings(schema.Warnings(ingressStatusWarnings)),
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareIngressCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareIngressUpdate),
	Validate:       schema.Validation(validateIngress),
	ValidateUpdate: schema.UpdateValidation(validateIngressUpdate),
	Warnings:       schema.Warnings(ingressWarnings),
}

// classAnnotation is where ingresses had their class before spec.ingressClassName.
const classAnnotation = "kubernetes.io/ingress.class"

func prepareIngressCreate(in *networkingv1.Ingress) {
	in.Status = networkingv1.IngressStatus{}
	in.Generation = 1
}

func prepareIngressUpdate(in, old *networkingv1.Ingress) {
	in.Status = old.Status
	in.Generation = old.Generation
	if !equality.Semantic.DeepEqual(in.Spec, old.Spec) {
		in.Generation++
	}
}

func prepareIngressStatus(in, old *networkingv1.Ingress) { in.Spec = old.Spec }

func ingressWarnings(in, old *networkingv1.Ingress) []string {
	if _, there := in.Annotations[classAnnotation]; old == nil && there && in.Spec.IngressClassName == nil {
		return []string{fmt.Sprintf("annotation %q is deprecated, please use 'spec.ingressClassName' instead", classAnnotation)}
	}
	return nil
}

func ingressStatusWarnings(in, _ *networkingv1.Ingress) (w []string) {
	for i, at := range in.Status.LoadBalancer.Ingress {
		if at.IP != "" {
			w = append(w, check.WarnIP(balancerPath.Index(i), at.IP)...)
		}
	}
	return w
}

var balancerPath = field.NewPath("status", "loadBalancer", "ingress")
