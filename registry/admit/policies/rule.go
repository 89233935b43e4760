package policies

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	cached "k8s.io/apiserver/pkg/admission/plugin/authorizer"

	"gantry/registry/admit"
	"gantry/schema"
)

const (
	policyPlural  = "validatingadmissionpolicies"
	bindingPlural = "validatingadmissionpolicybindings"
)

// Validating is the rule of validating policies.
func Validating() admit.Rule {
	c := &checker{}
	return admit.Rule{
		Name: "ValidatingAdmissionPolicy", Doc: "policies check what is written by expressions",
		Uses: kschema.GroupResource{Group: admissionv1.GroupName, Resource: bindingPlural}, Wants: wants, Validate: c.validate,
	}
}

// checker is the rule of validating policies.
type checker struct {
	policies compiled[*admissionv1.ValidatingAdmissionPolicy, *policy]
}

// wants leaves out the objects that say which webhooks and policies there are, and reviews, which store nothing.
func wants(_ admit.Operation, k *schema.Kind, _ string) bool {
	switch k.Group {
	case admissionv1.GroupName, "authentication.k8s.io", "authorization.k8s.io":
		return false
	}
	return true
}

// validate checks a request by every policy that a binding turns on for it. The first denial is the answer.
func (c *checker) validate(ctx context.Context, read admit.Reader, q *admit.Request) error {
	objects, bindings, err := listed(ctx, read, policyPlural, bindingPlural)
	if err != nil {
		return err
	}
	v := &verdict{request: q, authz: cached.NewCachingAuthorizer(q.Authorizer)}
	for _, p := range c.policies.of(objects, compile) {
		if err := c.check(ctx, read, q, p, bindings, v); err != nil {
			return err
		}
	}
	return v.err()
}
