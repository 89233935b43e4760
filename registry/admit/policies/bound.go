package policies

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/schema"
)

// What policies of both types, and their bindings, have alike.

// listed are all policies and bindings of a type.
func listed(ctx context.Context, read admit.Reader, policyPlural, bindingPlural string) (policies, bindings []schema.Object, err error) {
	if policies, err = read.List(ctx, admissionv1.GroupName, policyPlural, ""); err != nil {
		return nil, nil, err
	}
	bindings, err = read.List(ctx, admissionv1.GroupName, bindingPlural, "")
	return policies, bindings, err
}

// constraint says what a policy is about.
type constraint struct {
	name      string
	about     *admissionv1.MatchResources
	paramKind *admissionv1.ParamKind
	err       error // the policy cannot be used
}

// bound is what a binding says; policy is "" for an object of another kind.
func bound(b schema.Object) (policy string, about *admissionv1.MatchResources, ref *admissionv1.ParamRef) {
	switch b := b.(type) {
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		return b.Spec.PolicyName, b.Spec.MatchResources, b.Spec.ParamRef
	case *admissionv1.MutatingAdmissionPolicyBinding:
		return b.Spec.PolicyName, b.Spec.MatchResources, b.Spec.ParamRef
	}
	return "", nil, nil
}

// inForce calls use for every binding that puts a policy in force for a request, with the version that the policy sees objects in and the parameters.
// misconfigured is called for the policy, b is nil, or a binding that cannot be used. An error of use ends it.
func inForce[B schema.Object](ctx context.Context, read admit.Reader, q *admit.Request, p constraint, bindings []schema.Object,
	misconfigured func(b B, err error), use func(b B, v *schema.Version, params []runtime.Object) error) error {
	var version *schema.Version
	for _, obj := range bindings {
		policy, about, ref := bound(obj)
		b, ok := obj.(B)
		if !ok || policy != p.name {
			continue
		}
		if version == nil {
			var err error
			if version, err = match.Resources(ctx, read, q, p.about); err == nil && version != nil {
				err = p.err
			}
			if err != nil {
				var none B
				misconfigured(none, fmt.Errorf("failed to configure policy: %w", err))
				return nil
			}
			if version == nil {
				return nil
			}
		}
		params, err := paramsFor(ctx, read, q, p.paramKind, about, ref)
		if err != nil {
			misconfigured(b, fmt.Errorf("failed to configure binding: %w", err))
			continue
		}
		if err := use(b, version, params); err != nil {
			return err
		}
	}
	return nil
}

// ignored tells whether what goes wrong with a policy is no matter.
func ignored(failures *admissionv1.FailurePolicyType) bool {
	return failures != nil && *failures == admissionv1.Ignore
}

// denial is why a policy refuses a request.
type denial struct {
	text   string
	reason metav1.StatusReason
}
