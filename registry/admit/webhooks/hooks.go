package webhooks

import (
	"context"
	"fmt"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/schema"
)

// hook is a webhook with what was compiled of it.
type hook struct {
	admissionv1.MutatingWebhook // of a validating one: without reinvocation
	id                          string
	of                          schema.Object // the configuration that has it
	selectors                   match.Selectors
	conditions                  *match.Conditions
	err                         error // it cannot be used
}

// hooks are the webhooks of the configurations there are. They are compiled once for each state of a configuration.
type hooks struct {
	kind     string // as metrics name it
	mu       sync.Mutex
	compiled map[types.UID]*configuration
}

type configuration struct {
	version string
	hooks   []*hook
}

// of are the webhooks in the order in which they are called: by the name of their configuration, then as it lists them.
func (h *hooks) of(configurations []schema.Object) (all []*hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := make(map[types.UID]*configuration, len(configurations))
	for _, obj := range configurations {
		c := h.compiled[obj.GetUID()]
		if c == nil || c.version != obj.GetResourceVersion() {
			c = &configuration{version: obj.GetResourceVersion(), hooks: h.compile(obj)}
		}
		kept[obj.GetUID()] = c
		all = append(all, c.hooks...)
	}
	h.compiled = kept
	return all
}

func (h *hooks) compile(obj schema.Object) (out []*hook) {
	var list []admissionv1.MutatingWebhook
	switch c := obj.(type) {
	case *admissionv1.MutatingWebhookConfiguration:
		list = c.Webhooks
	case *admissionv1.ValidatingWebhookConfiguration:
		for i := range c.Webhooks {
			w := &c.Webhooks[i]
			list = append(list, admissionv1.MutatingWebhook{
				Name: w.Name, ClientConfig: w.ClientConfig, Rules: w.Rules, FailurePolicy: w.FailurePolicy, MatchPolicy: w.MatchPolicy,
				NamespaceSelector: w.NamespaceSelector, ObjectSelector: w.ObjectSelector, SideEffects: w.SideEffects, TimeoutSeconds: w.TimeoutSeconds,
				AdmissionReviewVersions: w.AdmissionReviewVersions, MatchConditions: w.MatchConditions,
			})
		}
	}
	seen := map[string]int{}
	for i := range list {
		w := &hook{MutatingWebhook: list[i], of: obj}
		w.id = fmt.Sprintf("%s/%s/%d", obj.GetName(), w.Name, seen[w.Name])
		seen[w.Name]++
		w.selectors, w.err = match.NewSelectors(w.NamespaceSelector, w.ObjectSelector)
		w.conditions = match.NewConditions(w.MatchConditions, w.FailurePolicy, h.kind, w.Name)
		out = append(out, w)
	}
	return out
}

// wants returns what the webhook is shown of a request, nil where the webhook is not for it.
func (c *calls) wants(ctx context.Context, read admit.Reader, q *admit.Request, h *hook) (*match.Objects, error) {
	v := match.Rules(q, h.Rules, h.MatchPolicy)
	if v == nil {
		return nil, nil
	}
	if h.err != nil {
		return nil, match.InternalError(h.err)
	}
	if ok, err := h.selectors.Select(ctx, read, q); err != nil || !ok {
		return nil, err
	}
	o, err := match.ObjectsOf(ctx, q, v)
	if err != nil {
		return nil, match.InternalError(err)
	}
	ok, err := h.conditions.Match(ctx, o.Attributes(q), nil, q.Authorizer)
	if err != nil {
		return nil, match.Forbidden(q, err)
	}
	if !ok {
		return nil, nil
	}
	return &o, nil
}
