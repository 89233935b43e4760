package networking

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// validateIngressClass checks that the controller is a path with a domain, and the parameters name an object of the cluster or, with
// the scope Namespace, of one namespace.
func validateIngressClass(c *networkingv1.IngressClass) field.ErrorList {
	var f check.Errors
	const longest = 250
	controller := specPath.Child("controller")
	if len(c.Spec.Controller) > longest {
		f.Add(field.TooLong(controller, "", longest))
	}
	f.Add(validation.IsDomainPrefixedPath(controller, c.Spec.Controller)...)
	if c.Spec.Parameters != nil {
		checkParameters(&f, c.Spec.Parameters, specPath.Child("parameters"))
	}
	return f.List
}

func validateIngressClassUpdate(c, old *networkingv1.IngressClass) field.ErrorList {
	var f check.Errors
	f.Same(specPath.Child("controller"), c.Spec.Controller, old.Spec.Controller)
	f.Add(validateIngressClass(c)...)
	return f.List
}

func checkParameters(f *check.Errors, ref *networkingv1.IngressClassParametersReference, p *field.Path) {
	const cluster, namespaced = networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace
	checkReference(f, &corev1.TypedLocalObjectReference{APIGroup: ref.APIGroup, Kind: ref.Kind, Name: ref.Name}, p)
	at := p.Child("namespace")
	switch {
	case ref.Scope == nil:
		f.Required(p.Child("scope"), "")
	case *ref.Scope == namespaced && ref.Namespace == nil:
		f.Required(at, "`parameters.scope` is set to 'Namespace'")
	case *ref.Scope == namespaced:
		f.Label(at, *ref.Namespace)
	case *ref.Scope != cluster:
		check.OneOf(f, p.Child("scope"), *ref.Scope, cluster, namespaced)
	case ref.Namespace != nil:
		f.Forbidden(at, "`parameters.scope` is set to 'Cluster'")
	}
}
