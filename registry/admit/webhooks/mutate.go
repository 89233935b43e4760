package webhooks

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/schema"
	"gantry/schema/patch"
)

type mutator struct{ calls }

// turns is what both runs of the first phase have to know: which webhooks are called a second time.
type turns struct {
	called map[string]bool // webhooks that want to be called again after a change, and had no change after them yet
	again  map[string]bool // those that had one
	last   schema.Object   // the object after the last webhook
}

// changed tells that the object has changed.
func (t *turns) changed() {
	for id := range t.called {
		t.again[id] = true
	}
	clear(t.called)
}

// mutate calls the webhooks of a request one after the other, each with what those before it have made of the object. Where one has changed it,
// the phase runs again: for the rules, and for webhooks with the reinvocation policy IfNeeded that were called before the change.
func (m *mutator) mutate(ctx context.Context, read admit.Reader, q *admit.Request) error {
	configurations, err := read.List(ctx, admissionv1.GroupName, mutatingPlural, "")
	if err != nil {
		return err
	}
	t := &turns{called: map[string]bool{}, again: map[string]bool{}}
	if q.Repeated {
		before, ok := q.Remembered().(*turns)
		if !ok {
			return nil // no webhook was called
		}
		if t = before; !equality.Semantic.DeepEqual(t.last, q.Object) {
			t.changed()
		}
	}
	called := false
	for _, h := range m.hooks.of(configurations) {
		o, err := m.wants(ctx, read, q, h)
		if err != nil {
			return err
		}
		if o == nil || q.Repeated && !t.again[h.id] {
			continue
		}
		called = true
		changed, err := m.callAndPatch(ctx, read, q, h, o)
		if changed {
			t.changed()
			if !q.Repeated {
				q.MutateAgain()
			}
		}
		if h.ReinvocationPolicy != nil && *h.ReinvocationPolicy == admissionv1.IfNeededReinvocationPolicy {
			t.called[h.id] = true
		}
		if err := failed(ctx, h, err); err != nil {
			return err
		}
	}
	if called && !q.Repeated {
		if q.Object != nil {
			t.last = q.Object.DeepCopyObject().(schema.Object)
		}
		q.Remember(t)
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
	next, err := patched(o, obj, answer.Patch)
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

// patched is an object in the version of o after a JSON patch, with its defaults.
func patched(o *match.Objects, obj schema.Object, operations []byte) (schema.Object, error) {
	before, err := rawOf(obj)
	if err != nil {
		return nil, err
	}
	after, err := patch.Apply(o.Version, string(types.JSONPatchType), before.Raw, operations)
	if err != nil {
		return nil, err
	}
	return o.Decode(after)
}
