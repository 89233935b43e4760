package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// Namespace is the kind of namespaces.
var Namespace = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "Namespace",
		New:     func() schema.Object { return &corev1.Namespace{} },
		NewList: func() runtime.Object { return &corev1.NamespaceList{} },
		Columns: namespaceColumns, Row: namespaceRow,
		Default: schema.Preparation(defaultNamespace),
		Fields:  namespaceFields,
	},
	Plural: "namespaces", Singular: "namespace", ShortNames: []string{"ns"}, Categories: []string{},
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "namespaces",

	Subresources: []schema.Subresource{
		{Name: "finalize", Verbs: []string{"update"}, Prepare: schema.UpdatePreparation(prepareNamespaceFinalize), Validate: schema.UpdateValidation(validateNamespaceUpdate), Resets: []string{"status"}},
		schema.Status(prepareNamespaceStatus, validateNamespaceStatus),
	},
	Verbs:               []string{"create", "delete", "get", "list", "patch", "update", "watch"}, // not deletecollection
	UnconditionalUpdate: true,
	ReturnsDeleted:      true,
	ValidateName:        apivalidation.NameIsDNSLabel,

	PrepareCreate:  schema.Preparation(prepareNamespaceCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareNamespaceUpdate),
	Validate:       schema.Validation(validateNamespace),
	ValidateUpdate: schema.UpdateValidation(validateNamespaceUpdate),
}

func defaultNamespace(ns *corev1.Namespace) {
	if ns.Name != "" {
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		ns.Labels[corev1.LabelMetadataName] = ns.Name
	}
	setIfZero(&ns.Status.Phase, corev1.NamespaceActive)
}

func prepareNamespaceCreate(ns *corev1.Namespace) {
	defaultNamespace(ns) // the label again: a generated name is not known when defaults are set
	ns.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		ns.Spec.Finalizers = append(ns.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
}

// prepareNamespaceUpdate keeps the finalizers: only the finalize subresource changes them.
func prepareNamespaceUpdate(ns, old *corev1.Namespace) {
	defaultNamespace(ns)
	ns.Spec.Finalizers = slices.Clone(old.Spec.Finalizers)
	ns.Status = old.Status
}

func prepareNamespaceStatus(ns, old *corev1.Namespace) {
	ns.Spec = old.Spec
}

// prepareNamespaceFinalize is PrepareUpdate of the finalize subresource: everything but the status counts.
func prepareNamespaceFinalize(ns, old *corev1.Namespace) {
	ns.Status = old.Status
}

func validateNamespace(ns *corev1.Namespace) (errs field.ErrorList) {
	path := field.NewPath("spec", "finalizers")
	for _, f := range ns.Spec.Finalizers {
		errs = append(errs, validateFinalizer(string(f), path)...)
	}
	return errs
}

func validateNamespaceUpdate(ns, _ *corev1.Namespace) field.ErrorList {
	return validateNamespace(ns)
}

// validateNamespaceStatus checks that a namespace is Terminating exactly when it is being deleted.
func validateNamespaceStatus(ns, _ *corev1.Namespace) (errs field.ErrorList) {
	path := field.NewPath("status", "Phase") // as Kubernetes spells it
	deleting := !ns.DeletionTimestamp.IsZero()
	if deleting && ns.Status.Phase != corev1.NamespaceTerminating {
		errs = append(errs, field.Invalid(path, ns.Status.Phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
	}
	if !deleting && ns.Status.Phase != corev1.NamespaceActive {
		errs = append(errs, field.Invalid(path, ns.Status.Phase, "may only be 'Active' if `deletionTimestamp` is empty"))
	}
	return errs
}

var namespaceFields = []schema.Field{
	schema.FieldOf("status.phase", func(ns *corev1.Namespace) string { return string(ns.Status.Phase) }),
	schema.FieldOf("name", func(ns *corev1.Namespace) string { return ns.Name }),
}
