package webhooks

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/registry/admit/reinvoke"
	"gantry/schema"
)

type mutator struct{ calls }

// mutate calls the webhooks of a request one after the other, each with what those before it have made of the object. Where one has changed it,
// the phase runs again: for the rules, and for webhooks with the reinvocation policy IfNeeded that were called before the change.
func (m *mutator) mutate(ctx context.Context, read admit.Reader, q *admit.Request) error {
	configurations, err := read.List(ctx, admissionv1.GroupName, mutatingPlural, "")
	if err != nil {
		return err
	}
	t := reinvoke.Begin(q)
	if t == nil {
		return nil
	}
	defer t.End()
	for _, h := range m.hooks.of(configurations) {
		o, err := m.wants(ctx, read, q, h)
		if err != nil {
			return err
		}
		if o == nil || !t.Has(h.id) {
			continue
		}
		changed, err := m.callAndPatch(ctx, read, q, h, o)
		t.Called(h.id, changed, h.ReinvocationPolicy != nil && *h.ReinvocationPolicy == admissionv1.IfNeededReinvocationPolicy)
		if err := m.failed(ctx, q, h, err); err != nil {
			return err
		}
	}
	return nil
}

// callAndPatch calls a webhook, and changes the object as it answers.
func (m *mutator) callAndPatch(ctx context.Context, read admit.Reader, q *admit.Request, h *hook, o *match.Objects) (changed bool, err error) {
	answer, err := m.call(ctx, read, q, h, o, true)
	if err != nil {
		return false, err
	}
	if err := accept(q, h, answer); err != nil {
		return false, err
	}
	if len(answer.Patch) == 0 || string(answer.Patch) == "[]" {
		return false, nil
	}
	if q.Object == nil {
		return false, match.InternalError(fmt.Errorf("admission webhook %q attempted to modify the object, which is not supported for this operation", h.Name))
	}
	obj, ok := o.Object.(schema.Object)
	if !ok {
		return false, match.InternalError(fmt.Errorf("admission webhook %q attempted to modify options", h.Name))
	}
	next, _, err := o.Patch(answer.Patch)
	if err != nil {
		return false, match.InternalError(err)
	}
	if equality.Semantic.DeepEqual(obj, next) {
		return false, nil
	}
	if err := o.Replace(ctx, q, next); err != nil {
		return false, match.InternalError(err)
	}
	return true, nil
}
