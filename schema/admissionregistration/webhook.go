// Package admissionregistration has the kinds of admissionregistration.k8s.io: webhooks and policies that are asked about writes, as
// objects.
package admissionregistration

import (
	"reflect"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

type (
	mutatingWebhooks   = admissionv1.MutatingWebhookConfiguration
	validatingWebhooks = admissionv1.ValidatingWebhookConfiguration
)

// MutatingWebhookConfiguration is the kind of webhooks that may change objects.
var MutatingWebhookConfiguration = webhookKind("MutatingWebhookConfiguration",
	func() runtime.Object { return &admissionv1.MutatingWebhookConfigurationList{} },
	func(c *mutatingWebhooks) []webhook { return c.Webhooks },
	func(c *mutatingWebhooks) {
		for i := range c.Webhooks {
			h := &c.Webhooks[i]
			defaultWebhook(&h.FailurePolicy, &h.MatchPolicy, &h.NamespaceSelector, &h.ObjectSelector, &h.TimeoutSeconds, &h.ClientConfig, h.Rules)
			setIfNil(&h.ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
		}
	})

// ValidatingWebhookConfiguration is the kind of webhooks that may refuse objects.
var ValidatingWebhookConfiguration = webhookKind("ValidatingWebhookConfiguration",
	func() runtime.Object { return &admissionv1.ValidatingWebhookConfigurationList{} },
	func(c *validatingWebhooks) []webhook { return webhooksOf(c.Webhooks) },
	func(c *validatingWebhooks) {
		for i := range c.Webhooks {
			h := &c.Webhooks[i]
			defaultWebhook(&h.FailurePolicy, &h.MatchPolicy, &h.NamespaceSelector, &h.ObjectSelector, &h.TimeoutSeconds, &h.ClientConfig, h.Rules)
		}
	})

func webhookKind[T any, P object[T]](name string, newList func() runtime.Object, hooks func(P) []webhook, setDefaults func(P)) *schema.Kind {
	return definition[T, P]{
		name: name, plural: strings.ToLower(name) + "s", newList: newList,
		columns: []metav1.TableColumnDefinition{
			schema.NumberColumn("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration"),
		},
		row:         func(c P) []any { return []any{int64(len(hooks(c)))} },
		setDefaults: setDefaults,
		prepare:     asWritten[P],
		differ:      func(c, old P) bool { return !reflect.DeepEqual(hooks(c), hooks(old)) },
		validate: func(c, old P) field.ErrorList {
			if old == nil {
				return checkWebhooks(hooks(c), exceptions{})
			}
			return checkWebhooks(hooks(c), exceptionsOf(hooks(c), hooks(old)))
		},
	}.kind()
}

// defaultWebhook sets what a webhook of either kind does not say.
func defaultWebhook(failure **admissionv1.FailurePolicyType, match **admissionv1.MatchPolicyType, namespaces, objects **metav1.LabelSelector,
	timeout **int32, client *admissionv1.WebhookClientConfig, rules []admissionv1.RuleWithOperations) {
	setIfNil(failure, admissionv1.Fail)
	setIfNil(match, admissionv1.Equivalent)
	setIfNil(namespaces, metav1.LabelSelector{})
	setIfNil(objects, metav1.LabelSelector{})
	setIfNil(timeout, 10)
	if client.Service != nil {
		setIfNil(&client.Service.Port, 443)
	}
	for i := range rules {
		setIfNil(&rules[i].Scope, admissionv1.AllScopes)
	}
}
