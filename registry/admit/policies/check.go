package policies

import (
	"context"
	"errors"
	"fmt"
	"strings"

	celtypes "github.com/google/cel-go/common/types"
	reviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	apicel "k8s.io/apiserver/pkg/apis/cel"
	celerrors "k8s.io/apiserver/pkg/cel"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/schema"
	"gantry/schema/core"
)

// check adds to the verdict what a policy says of a request by each of its bindings.
func (c *checker) check(ctx context.Context, read admit.Reader, q *admit.Request, p *policy, bindings []schema.Object, v *verdict) error {
	var attributes *admission.VersionedAttributes
	about := constraint{p.Name, p.Spec.MatchConstraints, p.Spec.ParamKind, p.err}
	misconfigured := func(b *binding, err error) { v.misconfigured(p, b, err) }
	err := inForce(ctx, read, q, about, bindings, misconfigured, func(b *binding, version *schema.Version, params []runtime.Object) error {
		if attributes == nil && len(params) > 0 {
			o, err := match.ObjectsOf(ctx, q, version)
			if err != nil {
				v.misconfigured(p, b, fmt.Errorf("failed to configure binding: failed to convert object version: %w", err))
				return nil
			}
			attributes = o.Attributes(q)
		}
		namespace, err := namespaceOf(ctx, read, q)
		if err != nil {
			return err
		}
		for _, param := range params {
			c.evaluate(ctx, p, b, evaluation{attributes, resourceOf(q, version), param, namespace}, v)
		}
		return nil
	})
	v.publish(p)
	return err
}

// namespaceOf is the namespace of a request as expressions see it; nil for what has none, a Namespace too.
func namespaceOf(ctx context.Context, read admit.Reader, q *admit.Request) (*corev1.Namespace, error) {
	if q.Namespace == "" || q.Kind == core.Namespace {
		return nil, nil
	}
	obj, err := match.Namespace(ctx, read, q.Namespace)
	if err != nil {
		return nil, err
	}
	ns, _ := obj.(*corev1.Namespace)
	return cel.CreateNamespaceObject(ns), nil
}

func resourceOf(q *admit.Request, v *schema.Version) metav1.GroupVersionResource {
	return metav1.GroupVersionResource(v.GV().WithResource(q.Kind.Plural))
}

// evaluation is what expressions are evaluated on.
type evaluation struct {
	attributes *admission.VersionedAttributes
	resource   metav1.GroupVersionResource
	param      runtime.Object
	namespace  *corev1.Namespace
}

func (e *evaluation) request() *reviewv1.AdmissionRequest {
	return cel.CreateAdmissionRequest(e.attributes.Attributes, e.resource, metav1.GroupVersionKind(e.attributes.VersionedKind))
}

// evaluate evaluates a policy's expressions with one parameter of a binding.
func (c *checker) evaluate(ctx context.Context, p *policy, b *binding, e evaluation, v *verdict) {
	if ok, err := p.conditions.Match(ctx, e.attributes, e.param, v.authz); err != nil {
		v.failed(p, b, 0, err.Error())
		return
	} else if !ok {
		return
	}
	request := e.request()
	bindings := cel.OptionalVariableBindings{VersionedParams: e.param, Authorizer: v.authz}
	results, left, err := p.validations.ForInput(ctx, e.attributes, request, bindings, e.namespace, apicel.RuntimeCELCostBudget)
	if err != nil {
		v.failed(p, b, 0, err.Error())
		return
	}
	messages, _, messageErr := p.messages.ForInput(ctx, e.attributes, request, cel.OptionalVariableBindings{VersionedParams: e.param}, e.namespace, left)
	for i, r := range results {
		switch {
		case r.Error != nil:
			v.failed(p, b, i, r.Error.Error())
		case errors.Is(messageErr, celerrors.ErrInternal) || errors.Is(messageErr, celerrors.ErrOutOfBudget):
			v.failed(p, b, i, fmt.Sprintf("failed messageExpression: %s", messageErr))
		case r.EvalResult != celtypes.True:
			rule := &p.Spec.Validations[i]
			reason := metav1.StatusReasonInvalid
			if rule.Reason != nil {
				reason = *rule.Reason
			}
			v.denied(p, b, i, messageOf(rule, messages, i), reason)
		}
	}
	annotations, _, err := p.annotations.ForInput(ctx, e.attributes, request, cel.OptionalVariableBindings{VersionedParams: e.param}, e.namespace, apicel.RuntimeCELCostBudget)
	if err != nil {
		v.failed(p, b, 0, err.Error())
		return
	}
	for i, r := range annotations {
		rule := &p.Spec.AuditAnnotations[i]
		switch {
		case r.Error != nil:
			v.annotationFailed(p, b, r.Error.Error())
		case r.EvalResult.Type() == celtypes.StringType:
			if text := strings.TrimSpace(r.EvalResult.Value().(string)); text != "" {
				v.annotate(rule.Key, text)
			}
		case r.EvalResult.Type() != celtypes.NullType:
			v.annotationFailed(p, b, fmt.Sprintf("valueExpression '%v' resulted in unsupported return type: %v. "+
				"Return type must be either string or null.", rule.ValueExpression, r.EvalResult.Type()))
		}
	}
}

// messageOf is the text of a validation that does not hold: of its expression where that gives a line that is not too long, else its own.
func messageOf(rule *admissionv1.Validation, results []cel.EvaluationResult, i int) string {
	if i < len(results) && results[i].Error == nil && results[i].EvalResult != nil {
		if text, ok := results[i].EvalResult.Value().(string); ok {
			text = strings.TrimSpace(text)
			if text != "" && len(text) <= apicel.MaxEvaluatedMessageExpressionSizeBytes && !strings.Contains(text, "\n") {
				return text
			}
		}
	}
	if text := strings.TrimSpace(rule.Message); text != "" {
		return text
	}
	return "failed expression: " + strings.TrimSpace(rule.Expression)
}
