package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// Lease is the kind of leases.
var Lease = &schema.Kind{
	Version: schema.Version{
		Group: "coordination.k8s.io", Version: "v1", Kind: "Lease",
		New:     func() schema.Object { return &coordinationv1.Lease{} },
		NewList: func() runtime.Object { return &coordinationv1.LeaseList{} },
		Columns: leaseColumns, Row: leaseRow,
	},
	AnyFinalizers: true,
	Plural:        "leases", Singular: "lease", ShortNames: []string{}, Categories: []string{},
	Namespaced: true,
	Prefix:     "leases",

	CreateOnUpdate: true,
	ValidateName:   apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareLeaseCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareLeaseUpdate),
	Validate:       schema.Validation(validateLease),
	ValidateUpdate: schema.UpdateValidation(validateLeaseUpdate),
}

// prepareLeaseCreate drops strategy and preferredHolder, which belong to coordinated leader election: off in 1.36.
func prepareLeaseCreate(l *coordinationv1.Lease) {
	l.Spec.Strategy = nil
	l.Spec.PreferredHolder = nil
}

func prepareLeaseUpdate(l, old *coordinationv1.Lease) {
	if old.Spec.Strategy == nil {
		l.Spec.Strategy = nil
	}
	if old.Spec.PreferredHolder == nil {
		l.Spec.PreferredHolder = nil
	}
}
