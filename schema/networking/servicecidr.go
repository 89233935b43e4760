package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ServiceCIDR is the kind of servicecidrs: ranges of addresses of Services besides those that processes are configured with.
var ServiceCIDR = &schema.Kind{
	Version: schema.Version{
		Group: networkingv1.GroupName, Version: "v1", Kind: "ServiceCIDR",
		New:     func() schema.Object { return &networkingv1.ServiceCIDR{} },
		NewList: func() runtime.Object { return &networkingv1.ServiceCIDRList{} },
		Columns: serviceCIDRColumns, Row: serviceCIDRRow,
	},
	Plural: "servicecidrs", Singular: "servicecidr", ShortNames: []string{}, Categories: []string{},
	Prefix: "servicecidrs",

	Subresources: []schema.Subresource{
		schema.Status(prepareServiceCIDRStatus, validateServiceCIDRStatus).Resetting("metadata"),
	},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(func(c *networkingv1.ServiceCIDR) { c.Status = networkingv1.ServiceCIDRStatus{} }),
	PrepareUpdate:  schema.UpdatePreparation(func(c, old *networkingv1.ServiceCIDR) { c.Status = old.Status }),
	Validate:       schema.Validation(validateServiceCIDR),
	ValidateUpdate: schema.UpdateValidation(validateServiceCIDRUpdate),
}

// prepareServiceCIDRStatus keeps the metadata too.
func prepareServiceCIDRStatus(c, old *networkingv1.ServiceCIDR) {
	c.Spec = old.Spec
	metav1.ResetObjectMetaForStatus(&c.ObjectMeta, &old.ObjectMeta)
}
