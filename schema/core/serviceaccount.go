package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

// ServiceAccount is the kind of serviceaccounts.
var ServiceAccount = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "ServiceAccount",
		New:     func() schema.Object { return &corev1.ServiceAccount{} },
		NewList: func() runtime.Object { return &corev1.ServiceAccountList{} },
		Columns: serviceAccountColumns, Row: serviceAccountRow,
	},
	Plural: "serviceaccounts", Singular: "serviceaccount", ShortNames: []string{"sa"}, Categories: []string{},
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "serviceaccounts",

	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate:  schema.Preparation(prepareServiceAccount),
	PrepareUpdate:  schema.UpdatePreparation(func(sa, _ *corev1.ServiceAccount) { prepareServiceAccount(sa) }),
	Validate:       schema.Validation(validateServiceAccount),
	ValidateUpdate: schema.UpdateValidation(validateServiceAccountUpdate),
	Warnings:       schema.Warnings(serviceAccountWarnings),
}

// prepareServiceAccount clears all fields but the name of references to secrets: they are not used.
func prepareServiceAccount(sa *corev1.ServiceAccount) {
	for i := range sa.Secrets {
		sa.Secrets[i] = corev1.ObjectReference{Name: sa.Secrets[i].Name}
	}
}
