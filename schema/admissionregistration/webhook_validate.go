package admissionregistration

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/cel"
	"gantry/schema/internal/check"
)

// webhook is a webhook of either kind: a validating one has no reinvocation policy.
type webhook = admissionv1.MutatingWebhook

func webhooksOf(list []admissionv1.ValidatingWebhook) []webhook {
	if list == nil {
		return nil
	}
	hooks := make([]webhook, len(list))
	for i, h := range list {
		hooks[i] = webhook{
			Name: h.Name, ClientConfig: h.ClientConfig, Rules: h.Rules, FailurePolicy: h.FailurePolicy, MatchPolicy: h.MatchPolicy,
			NamespaceSelector: h.NamespaceSelector, ObjectSelector: h.ObjectSelector, SideEffects: h.SideEffects, TimeoutSeconds: h.TimeoutSeconds,
			AdmissionReviewVersions: h.AdmissionReviewVersions, MatchConditions: h.MatchConditions,
		}
	}
	return hooks
}

// exceptions are the mistakes that an update may leave as they are.
type exceptions struct{ sideEffects, reviewVersions, sameNames, labelValues, conditions bool }

// reviewVersions are those of AdmissionReview that the server speaks.
var reviewVersions = []string{"v1", "v1beta1"}

var noSideEffects = []admissionv1.SideEffectClass{admissionv1.SideEffectClassNone, admissionv1.SideEffectClassNoneOnDryRun}

// exceptionsOf are the mistakes that old webhooks have already. Conditions are not checked where none changes.
func exceptionsOf(hooks, old []webhook) exceptions {
	e := exceptions{conditions: len(hooks) == len(old)}
	names := map[string]bool{}
	invalid := func(s *metav1.LabelSelector) bool {
		return s != nil && len(metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, nil)) > 0
	}
	for i := range old {
		h := &old[i]
		e.sideEffects = e.sideEffects || h.SideEffects == nil || !slices.Contains(noSideEffects, *h.SideEffects)
		e.reviewVersions = e.reviewVersions || len(h.AdmissionReviewVersions) > 0 && !slices.ContainsFunc(h.AdmissionReviewVersions, isReviewVersion)
		e.sameNames = e.sameNames || names[h.Name]
		names[h.Name] = true
		e.labelValues = e.labelValues || invalid(h.NamespaceSelector) || invalid(h.ObjectSelector)
		e.conditions = e.conditions && reflect.DeepEqual(hooks[i].MatchConditions, h.MatchConditions)
	}
	return e
}

func isReviewVersion(v string) bool { return slices.Contains(reviewVersions, v) }

func checkWebhooks(hooks []webhook, e exceptions) field.ErrorList {
	var f check.Errors
	budget, names := &cel.Budget{}, map[string]bool{}
	for i := range hooks {
		h, p := &hooks[i], field.NewPath("webhooks").Index(i)
		checkWebhook(&f, h, e, budget, p)
		checkReviewVersions(&f, h.AdmissionReviewVersions, e, p.Child("admissionReviewVersions"))
		if !e.sameNames && h.Name != "" && names[h.Name] {
			f.Duplicate(p.Child("name"), h.Name)
		}
		names[h.Name] = true
	}
	return f.List
}

// checkWebhook checks that
//   - the name is a domain of three parts;
//   - rules, policies and selectors are valid;
//   - side effects are none, or none on a dry run, and told; the timeout is 1 to 30 seconds;
//   - there is either a URL or a service, a valid one;
//   - match conditions are valid.
func checkWebhook(f *check.Errors, h *webhook, e exceptions, budget *cel.Budget, p *field.Path) {
	f.Add(validation.IsFullyQualifiedName(p.Child("name"), h.Name)...)
	for i := range h.Rules {
		checkRule(f, &h.Rules[i], p.Child("rules").Index(i))
	}
	checkPolicies(f, h.FailurePolicy, h.MatchPolicy, p)
	checkSideEffects(f, h.SideEffects, e, p.Child("sideEffects"))
	if s := h.TimeoutSeconds; s != nil && (*s > 30 || *s < 1) {
		f.Invalid(p.Child("timeoutSeconds"), *s, "the timeout value must be between 1 and 30 seconds")
	}
	o := metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: e.labelValues}
	if s := h.NamespaceSelector; s != nil {
		f.Add(metavalidation.ValidateLabelSelector(s, o, p.Child("namespaceSelector"))...)
	}
	if s := h.ObjectSelector; s != nil {
		f.Add(metavalidation.ValidateLabelSelector(s, o, p.Child("objectSelector"))...)
	}
	if r := h.ReinvocationPolicy; r != nil {
		check.OneOf(f, p.Child("reinvocationPolicy"), *r, admissionv1.IfNeededReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
	}
	checkClient(f, &h.ClientConfig, p.Child("clientConfig"))
	if !e.conditions {
		expressions := expressions{errs: f, budget: budget}
		expressions.checkConditions(h.MatchConditions, p.Child("matchConditions"))
	}
}

func checkPolicies(f *check.Errors, failure *admissionv1.FailurePolicyType, match *admissionv1.MatchPolicyType, p *field.Path) {
	if failure != nil {
		check.OneOf(f, p.Child("failurePolicy"), *failure, admissionv1.Fail, admissionv1.Ignore)
	}
	if match != nil {
		check.OneOf(f, p.Child("matchPolicy"), *match, admissionv1.Equivalent, admissionv1.Exact)
	}
}

func checkSideEffects(f *check.Errors, is *admissionv1.SideEffectClass, e exceptions, p *field.Path) {
	allowed := noSideEffects
	if e.sideEffects {
		allowed = append(allowed[:len(allowed):len(allowed)], admissionv1.SideEffectClassSome, admissionv1.SideEffectClassUnknown)
	}
	if is == nil {
		names := make([]string, len(allowed))
		for i, class := range allowed {
			names[i] = string(class)
		}
		f.Required(p, "must specify one of "+strings.Join(names, ", "))
		return
	}
	check.OneOf(f, p, *is, allowed...)
}

func checkReviewVersions(f *check.Errors, versions []string, e exceptions, p *field.Path) {
	known := strings.Join(reviewVersions, ", ")
	if len(versions) == 0 {
		f.Required(p, "must specify one of "+known)
		return
	}
	seen := map[string]bool{}
	for i, v := range versions {
		if seen[v] {
			f.Invalid(p.Index(i), v, "duplicate version")
			continue
		}
		seen[v] = true
		f.Each(p.Index(i), v, validation.IsDNS1035Label(v))
	}
	if !e.reviewVersions && !slices.ContainsFunc(versions, isReviewVersion) {
		f.Invalid(p, versions, "must include at least one of "+known)
	}
}

func checkClient(f *check.Errors, c *admissionv1.WebhookClientConfig, p *field.Path) {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		f.Required(p, "exactly one of url or service is required")
	case c.URL != nil:
		checkURL(f, *c.URL, p.Child("url"))
	default:
		checkService(f, c.Service, p.Child("service"))
	}
}

func checkURL(f *check.Errors, text string, p *field.Path) {
	const form = "; desired format: https://host[/path]"
	u, err := url.Parse(text)
	if err != nil {
		f.Required(p, "url must be a valid URL: "+err.Error()+form)
		return
	}
	if u.Scheme != "https" {
		f.Invalid(p, u.Scheme, "'https' is the only allowed URL scheme"+form)
	}
	if u.Host == "" {
		f.Invalid(p, u.Host, "host must be specified"+form)
	}
	if u.User != nil {
		f.Invalid(p, u.User.String(), "user information is not permitted in the URL")
	}
	if u.Fragment != "" {
		f.Invalid(p, u.Fragment, "fragments are not permitted in the URL")
	}
	if u.RawQuery != "" {
		f.Invalid(p, u.RawQuery, "query parameters are not permitted in the URL")
	}
}

// checkService names the field of the other where the name or the namespace is absent, as Kubernetes does.
func checkService(f *check.Errors, s *admissionv1.ServiceReference, p *field.Path) {
	f.Set(p.Child("name"), s.Namespace)
	f.Set(p.Child("namespace"), s.Name)
	port := int32(0)
	if s.Port != nil {
		port = *s.Port
	}
	if wrong := validation.IsValidPortNum(int(port)); wrong != nil {
		f.Invalid(p.Child("port"), port, "port is not valid: "+strings.Join(wrong, ", "))
	}
	if s.Path == nil || *s.Path == "" || *s.Path == "/" {
		return
	}
	at, path := p.Child("path"), *s.Path
	if path == "//" {
		f.Invalid(at, path, "segment[0] may not be empty")
		return
	}
	if path[0] != '/' {
		f.Invalid(at, path, "must start with a '/'")
	}
	for i, segment := range strings.Split(strings.TrimSuffix(path[1:], "/"), "/") {
		if f.Full() {
			return // every error quotes the path
		}
		if segment == "" {
			f.Invalid(at, path, fmt.Sprintf("segment[%d] may not be empty", i))
			continue
		}
		for _, text := range validation.IsDNS1123Subdomain(segment) {
			f.Invalid(at, path, fmt.Sprintf("segment[%d]: %v", i, text))
		}
	}
}
