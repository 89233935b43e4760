package webhooks

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/registry/admit"
	kinds "gantry/schema"
)

// Caller posts a JSON body to a webhook and returns the JSON body of its answer. An answer that is not 200 is an error.
type Caller interface {
	Post(ctx context.Context, read Finder, to *admissionv1.WebhookClientConfig, body []byte) ([]byte, error)
}

// Finder finds the Service of a webhook and its endpoints, as admit.Reader does.
type Finder interface {
	Find(ctx context.Context, group, plural, namespace, name string) (admit.Found, error)
	List(ctx context.Context, group, plural, namespace string) ([]kinds.Object, error)
}

const (
	mutatingPlural   = "mutatingwebhookconfigurations"
	validatingPlural = "validatingwebhookconfigurations"
	mutatingKind     = "MutatingWebhookConfiguration"
	validatingKind   = "ValidatingWebhookConfiguration"
)

// Mutating is the rule that calls mutating webhooks; report, where set, is told of each call that has failed and must not block.
func Mutating(caller Caller, report func(Failure)) admit.Rule {
	m := &mutator{calls: calls{caller: caller, report: report, configured: mutatingKind}}
	m.hooks.kind = "admit"
	return admit.Rule{
		Name: "MutatingAdmissionWebhook", Doc: "webhooks may change what is written, or refuse it",
		Uses: schema.GroupResource{Group: admissionv1.GroupName, Resource: mutatingPlural}, Wants: wants, Mutate: m.mutate,
	}
}

// Validating is the rule that calls validating webhooks; report is as Mutating has it.
func Validating(caller Caller, report func(Failure)) admit.Rule {
	v := &validator{calls: calls{caller: caller, report: report, configured: validatingKind}}
	v.hooks.kind = "validating"
	return admit.Rule{
		Name: "ValidatingAdmissionWebhook", Doc: "webhooks may refuse what is written",
		Uses: schema.GroupResource{Group: admissionv1.GroupName, Resource: validatingPlural}, Wants: wants, Validate: v.validate,
	}
}

// wants leaves out the objects that say which webhooks and policies there are.
func wants(_ admit.Operation, k *kinds.Kind, _ string) bool { return k.Group != admissionv1.GroupName }
