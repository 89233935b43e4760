package policies

import (
	"context"
	"errors"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	cached "k8s.io/apiserver/pkg/admission/plugin/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/registry/admit/reinvoke"
	"gantry/schema"
	"gantry/schema/apply"
)

const (
	mutatingPolicyPlural  = "mutatingadmissionpolicies"
	mutatingBindingPlural = "mutatingadmissionpolicybindings"
)

// Mutating is the rule of mutating policies. It runs before that of mutating webhooks.
func Mutating() admit.Rule {
	m := &mutator{}
	return admit.Rule{
		Name: "MutatingAdmissionPolicy", Doc: "policies change what is written by expressions",
		Uses: kschema.GroupResource{Group: admissionv1.GroupName, Resource: mutatingBindingPlural}, Wants: wantsMutation, Mutate: m.mutate,
	}
}

// wantsMutation is wants of the operations that have an object.
func wantsMutation(o admit.Operation, k *schema.Kind, subresource string) bool {
	return (o == admit.Create || o == admit.Update) && wants(o, k, subresource)
}

// mutator is the rule of mutating policies.
type mutator struct {
	policies compiled[*admissionv1.MutatingAdmissionPolicy, *mutatingPolicy]
	types    apply.Types
}

// mutation is the mutation of one request.
type mutation struct {
	*mutator
	request   *admit.Request
	turns     *reinvoke.Turns
	authz     authorizer.Authorizer
	namespace *corev1.Namespace
	refusals  []denial
}

// invocation is a policy in force for a request, by one of its bindings with one parameter.
type invocation struct {
	policy  *mutatingPolicy
	binding *admissionv1.MutatingAdmissionPolicyBinding
	version *schema.Version
	param   runtime.Object // nil: the policy has none
}

// mutate changes the object by every policy that a binding puts in force for it, one after the other. Those that fail are in the answer together.
func (m *mutator) mutate(ctx context.Context, read admit.Reader, q *admit.Request) error {
	objects, bindings, err := listed(ctx, read, mutatingPolicyPlural, mutatingBindingPlural)
	if err != nil {
		return err
	}
	work := &mutation{mutator: m, request: q, turns: reinvoke.Begin(q)}
	if q.Object == nil || work.turns == nil {
		return nil
	}
	var all []invocation
	for _, p := range m.policies.of(objects, compileMutating) {
		all = append(all, work.invocations(ctx, read, p, bindings)...)
	}
	if len(all) > 0 {
		if work.namespace, err = namespaceOf(ctx, read, q); err != nil {
			return err
		}
		work.authz = cached.NewCachingAuthorizer(q.Authorizer)
	}
	for i := range all {
		if err := work.invoke(ctx, &all[i]); err != nil {
			return err
		}
	}
	work.turns.End()
	return work.err()
}

// invocations are those of a policy.
func (m *mutation) invocations(ctx context.Context, read admit.Reader, p *mutatingPolicy, bindings []schema.Object) (all []invocation) {
	c := constraint{p.Name, p.Spec.MatchConstraints, p.Spec.ParamKind, p.err}
	misconfigured := func(b *admissionv1.MutatingAdmissionPolicyBinding, err error) { m.refuse(p, b, "", err) }
	_ = inForce(ctx, read, m.request, c, bindings, misconfigured, func(b *admissionv1.MutatingAdmissionPolicyBinding, v *schema.Version, params []runtime.Object) error {
		for _, param := range params {
			all = append(all, invocation{p, b, v, param})
		}
		return nil
	}) // its errors are the function's, which has none
	return all
}

// invoke changes the object by the policy's mutations in their order. An error is not the policy's.
func (m *mutation) invoke(ctx context.Context, i *invocation) error {
	q, p := m.request, i.policy
	o, err := match.ObjectsOf(ctx, q, i.version)
	if err != nil {
		return match.InternalError(err)
	}
	ok, err := p.conditions.Match(ctx, o.Attributes(q), i.param, m.authz)
	if err != nil {
		m.refuse(p, i.binding, metav1.StatusReasonInvalid, err)
	}
	if err != nil || !ok || !m.turns.Has(i.id()) {
		return nil
	}
	changed := false
	for at := range p.mutations {
		obj, ok := o.Object.(schema.Object)
		if !ok {
			break
		}
		next, err := m.mutated(ctx, i, at, o)
		var rejected *admit.Rejected
		switch {
		case errors.As(err, &rejected):
			return err
		case err != nil:
			m.refuse(p, i.binding, metav1.StatusReasonInvalid, err)
			continue
		case equality.Semantic.DeepEqual(obj, next):
			continue
		}
		changed = true
		if err := o.Replace(ctx, q, next); err != nil {
			return match.InternalError(fmt.Errorf("failed to convert object: %w", err))
		}
		if o, err = match.ObjectsOf(ctx, q, i.version); err != nil {
			return match.InternalError(err)
		}
	}
	m.turns.Called(i.id(), changed, p.Spec.ReinvocationPolicy == admissionv1.IfNeededReinvocationPolicy)
	return nil
}

// id names an invocation in both runs of the phase.
func (i *invocation) id() string {
	parts := []string{i.policy.Name, i.binding.Name}
	if param, ok := i.param.(schema.Object); ok {
		parts = append(parts, param.GetNamespace(), param.GetName())
	}
	return strings.Join(parts, "/")
}

// refuse records why a policy, or one of its bindings, cannot do its work. With the failure policy Ignore that is no matter.
func (m *mutation) refuse(p *mutatingPolicy, b *admissionv1.MutatingAdmissionPolicyBinding, reason metav1.StatusReason, err error) {
	if ignored(p.Spec.FailurePolicy) {
		return
	}
	text := fmt.Sprintf("policy %q denied request: %v", p.Name, err)
	if b != nil {
		text = fmt.Sprintf("policy '%s' with binding '%s' denied request: %v", p.Name, b.Name, err)
	}
	m.refusals = append(m.refusals, denial{text, reason})
}

// err is the answer to the request: the first refusal's, with all of them as causes; nil where there is none.
func (m *mutation) err() error {
	if len(m.refusals) == 0 {
		return nil
	}
	s := forbidden(m.request, "")
	s.Message = m.refusals[0].text
	if r := m.refusals[0].reason; r != "" {
		s.Reason = r
	}
	for _, r := range m.refusals {
		s.Details.Causes = append(s.Details.Causes, metav1.StatusCause{Message: r.text})
	}
	return &admit.Rejected{Status: s}
}
