// Package admissionregistration has the kinds of admissionregistration.k8s.io: webhooks and policies that are asked about writes, as
// objects. CEL expressions are not compiled.
package admissionregistration

import (
	"fmt"
	"reflect"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
)

var categories = []string{"api-extensions"}

// MutatingWebhookConfiguration is the kind of webhooks that may change objects.
var MutatingWebhookConfiguration = &schema.Kind{
	Version: schema.Version{
		Group: admissionv1.GroupName, Version: "v1", Kind: "MutatingWebhookConfiguration",
		New:     func() schema.Object { return &admissionv1.MutatingWebhookConfiguration{} },
		NewList: func() runtime.Object { return &admissionv1.MutatingWebhookConfigurationList{} },
		Columns: webhookColumns,
		Row: func(obj schema.Object, now metav1.Time) []any {
			c := obj.(*admissionv1.MutatingWebhookConfiguration)
			return []any{c.Name, int64(len(c.Webhooks)), schema.Age(c.CreationTimestamp, now)}
		},
		Default: schema.Preparation(func(c *admissionv1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				h := &c.Webhooks[i]
				defaultWebhook(&h.FailurePolicy, &h.MatchPolicy, &h.NamespaceSelector, &h.ObjectSelector, &h.TimeoutSeconds, &h.ClientConfig, h.Rules)
				setIfNil(&h.ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
			}
		}),
	},
	Plural: "mutatingwebhookconfigurations", Singular: "mutatingwebhookconfiguration", Categories: categories,
	UpdateMeta:    schema.MetaOfCreate,
	Prefix:        "mutatingwebhookconfigurations",
	ValidateName:  apivalidation.NameIsDNSSubdomain,
	AnyFinalizers: true,

	PrepareCreate: firstGeneration,
	PrepareUpdate: schema.UpdatePreparation(func(c, old *admissionv1.MutatingWebhookConfiguration) {
		if !reflect.DeepEqual(c.Webhooks, old.Webhooks) {
			c.Generation = old.Generation + 1
		}
	}),
	Validate:       schema.Validation(validateMutatingWebhooks),
	ValidateUpdate: schema.UpdateValidation(validateMutatingWebhooksUpdate),
	Warnings:       nameWarnings,
}

// ValidatingWebhookConfiguration is the kind of webhooks that may refuse objects.
var ValidatingWebhookConfiguration = &schema.Kind{
	Version: schema.Version{
		Group: admissionv1.GroupName, Version: "v1", Kind: "ValidatingWebhookConfiguration",
		New:     func() schema.Object { return &admissionv1.ValidatingWebhookConfiguration{} },
		NewList: func() runtime.Object { return &admissionv1.ValidatingWebhookConfigurationList{} },
		Columns: webhookColumns,
		Row: func(obj schema.Object, now metav1.Time) []any {
			c := obj.(*admissionv1.ValidatingWebhookConfiguration)
			return []any{c.Name, int64(len(c.Webhooks)), schema.Age(c.CreationTimestamp, now)}
		},
		Default: schema.Preparation(func(c *admissionv1.ValidatingWebhookConfiguration) {
			for i := range c.Webhooks {
				h := &c.Webhooks[i]
				defaultWebhook(&h.FailurePolicy, &h.MatchPolicy, &h.NamespaceSelector, &h.ObjectSelector, &h.TimeoutSeconds, &h.ClientConfig, h.Rules)
			}
		}),
	},
	Plural: "validatingwebhookconfigurations", Singular: "validatingwebhookconfiguration", Categories: categories,
	UpdateMeta:    schema.MetaOfCreate,
	Prefix:        "validatingwebhookconfigurations",
	ValidateName:  apivalidation.NameIsDNSSubdomain,
	AnyFinalizers: true,

	PrepareCreate: firstGeneration,
	PrepareUpdate: schema.UpdatePreparation(func(c, old *admissionv1.ValidatingWebhookConfiguration) {
		if !reflect.DeepEqual(c.Webhooks, old.Webhooks) {
			c.Generation = old.Generation + 1
		}
	}),
	Validate:       schema.Validation(validateValidatingWebhooks),
	ValidateUpdate: schema.UpdateValidation(validateValidatingWebhooksUpdate),
	Warnings:       nameWarnings,
}

var webhookColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.NumberColumn("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration"),
	schema.AgeColumn(),
}

func firstGeneration(obj schema.Object) { obj.SetGeneration(1) }

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

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// staticSuffix ends names that are kept for configurations in files.
const staticSuffix = ".static.k8s.io"

func nameWarnings(obj, _ schema.Object) []string {
	if !strings.HasSuffix(obj.GetName(), staticSuffix) {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: names ending with %q are reserved for static manifest-based configurations and cannot be managed via the API", staticSuffix)}
}
