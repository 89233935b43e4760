package networking

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// IPAddress is the kind of ipaddresses. Addresses of services are claimed elsewhere (registry/allocate): these are objects alone.
var IPAddress = &schema.Kind{
	Version: schema.Version{
		Group: networkingv1.GroupName, Version: "v1", Kind: "IPAddress",
		New:     func() schema.Object { return &networkingv1.IPAddress{} },
		NewList: func() runtime.Object { return &networkingv1.IPAddressList{} },
		Columns: ipAddressColumns, Row: ipAddressRow,
	},
	Plural: "ipaddresses", Singular: "ipaddress", ShortNames: []string{"ip"}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "ipaddresses",

	UnconditionalUpdate: true,
	ValidateName:        nameIsAddress,

	Validate:       schema.Validation(validateIPAddress),
	ValidateUpdate: schema.UpdateValidation(validateIPAddressUpdate),
}
