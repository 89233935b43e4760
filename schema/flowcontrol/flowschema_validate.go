package flowcontrol

import (
	"fmt"
	"slices"
	"strings"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

var specPath = field.NewPath("spec")

// validateFlowSchema checks the spec, which is fixed for the schemas that every cluster has, and the status.
func validateFlowSchema(s *flowcontrolv1.FlowSchema) field.ErrorList {
	var f check.Errors
	checkPrecedence(&f, s.Name, s.Spec.MatchingPrecedence, specPath.Child("matchingPrecedence"))
	if m := s.Spec.DistinguisherMethod; m != nil && m.Type != flowcontrolv1.FlowDistinguisherMethodByNamespaceType && m.Type != flowcontrolv1.FlowDistinguisherMethodByUserType {
		f.Add(field.NotSupported(specPath.Child("distinguisherMethod", "type"), shownMethod(*m), []string{"ByNamespace", "ByUser"}))
	}
	name := specPath.Child("priorityLevelConfiguration", "name")
	if level := s.Spec.PriorityLevelConfiguration.Name; level == "" {
		f.Required(name, "must reference a priority level")
	} else {
		f.Subdomain(name, level)
	}
	for i := range s.Spec.Rules {
		checkRule(&f, &s.Spec.Rules[i], specPath.Child("rules").Index(i))
	}
	for _, fixed := range MandatoryFlowSchemas() {
		if s.Name == fixed.Name && !equality.Semantic.DeepEqual(s.Spec, fixed.Spec) {
			f.Invalid(specPath, s.Spec, fmt.Sprintf("spec of '%s' must equal the fixed value", s.Name))
		}
	}
	status := checkFlowSchemaStatus(s)
	f.Add(status.List...)
	return f.List
}

// shownMethod is a method as Kubernetes' errors show it, by the name of its Go field.
type shownMethod struct {
	Type flowcontrolv1.FlowDistinguisherMethodType
}

func checkPrecedence(f *check.Errors, name string, n int32, p *field.Path) {
	switch {
	case n <= 0:
		f.Invalid(p, n, "must be a positive value")
	case n > flowcontrolv1.FlowSchemaMaxMatchingPrecedence:
		f.Invalid(p, n, fmt.Sprintf("must not be greater than %v", flowcontrolv1.FlowSchemaMaxMatchingPrecedence))
	case n == 1 && name != exempt:
		f.Invalid(p, n, "only the schema named 'exempt' may have matchingPrecedence 1")
	}
}

func checkRule(f *check.Errors, r *flowcontrolv1.PolicyRulesWithSubjects, p *field.Path) {
	if len(r.Subjects) == 0 {
		f.Required(p.Child("subjects"), "subjects must contain at least one value")
	}
	for i := range r.Subjects {
		checkSubject(f, &r.Subjects[i], p.Child("subjects").Index(i))
	}
	if len(r.ResourceRules)+len(r.NonResourceRules) == 0 {
		f.Required(p, "at least one of resourceRules and nonResourceRules has to be non-empty")
	}
	for i := range r.ResourceRules {
		checkResourceRule(f, &r.ResourceRules[i], p.Child("resourceRules").Index(i))
	}
	for i := range r.NonResourceRules {
		rule, at := &r.NonResourceRules[i], p.Child("nonResourceRules").Index(i)
		checkVerbs(f, rule.Verbs, at.Child("verbs"))
		if urls := at.Child("nonResourceURLs"); !alone(f, rule.NonResourceURLs, urls, "nonResourceURLs must contain at least one value", "non-resource URLs") {
			for j, url := range rule.NonResourceURLs {
				checkURL(f, url, urls.Index(j))
			}
		}
	}
}

// checkSubject requires the member of the subject's kind, and no other.
func checkSubject(f *check.Errors, s *flowcontrolv1.Subject, p *field.Path) {
	members := []struct {
		kind  flowcontrolv1.SubjectKind
		name  string
		there bool
		check func(*field.Path)
	}{
		{flowcontrolv1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil, func(at *field.Path) { checkAccount(f, s.ServiceAccount, at) }},
		{flowcontrolv1.SubjectKindUser, "user", s.User != nil, func(at *field.Path) { f.Set(at.Child("name"), s.User.Name) }},
		{flowcontrolv1.SubjectKindGroup, "group", s.Group != nil, func(at *field.Path) { f.Set(at.Child("name"), s.Group.Name) }},
	}
	known := false
	for _, m := range members {
		if m.kind != s.Kind {
			continue
		}
		known = true
		if at := p.Child(m.name); m.there {
			m.check(at)
		} else {
			f.Required(at, fmt.Sprintf("%s is required when subject kind is '%s'", m.name, m.kind))
		}
	}
	if !known {
		check.OneOf(f, p.Child("kind"), s.Kind, flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount, flowcontrolv1.SubjectKindUser)
		return
	}
	for _, m := range members {
		if m.kind != s.Kind && m.there {
			f.Forbidden(p.Child(m.name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", m.name, m.kind))
		}
	}
}

func checkAccount(f *check.Errors, a *flowcontrolv1.ServiceAccountSubject, p *field.Path) {
	if name := p.Child("name"); f.Set(name, a.Name) && a.Name != flowcontrolv1.NameAll {
		f.Each(name, a.Name, apivalidation.ValidateServiceAccountName(a.Name, false))
	}
	if namespace := p.Child("namespace"); a.Namespace == "" {
		f.Required(namespace, "must specify namespace for service account")
	} else {
		f.Each(namespace, a.Namespace, apivalidation.ValidateNamespaceName(a.Namespace, false))
	}
}

func checkResourceRule(f *check.Errors, r *flowcontrolv1.ResourcePolicyRule, p *field.Path) {
	checkVerbs(f, r.Verbs, p.Child("verbs"))
	alone(f, r.APIGroups, p.Child("apiGroups"), "resource rules must supply at least one api group", "api groups")
	alone(f, r.Resources, p.Child("resources"), "resource rules must supply at least one resource", "resources")
	namespaces := p.Child("namespaces")
	if len(r.Namespaces) == 0 && r.ClusterScope || alone(f, r.Namespaces, namespaces, "resource rules that are not cluster scoped must supply at least one namespace", "namespaces") {
		return
	}
	for i, name := range r.Namespaces {
		for _, text := range apivalidation.ValidateNamespaceName(name, false) {
			f.Invalid(namespaces.Index(i), name, "each member of this list must be '*' or a DNS-1123 label; "+text)
		}
	}
}

// alone checks a list that has elements, or "*" and nothing else. It returns whether its elements need no other check.
func alone(f *check.Errors, list []string, p *field.Path, absent, what string) bool {
	if len(list) == 0 {
		f.Required(p, absent)
		return true
	}
	if !slices.Contains(list, "*") {
		return false
	}
	if len(list) > 1 {
		f.Invalid(p, list, "if '*' is present, must not specify other "+what)
	}
	return true
}

// verbs are those of rules, in the order that errors list them.
var verbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}

func checkVerbs(f *check.Errors, list []string, p *field.Path) {
	if alone(f, list, p, "verbs must contain at least one value", "verbs") {
		return
	}
	if slices.ContainsFunc(list, func(verb string) bool { return !slices.Contains(verbs, verb) }) {
		f.Add(field.NotSupported(p, list, verbs))
	}
}

// checkURL checks the path of a URL: "/healthz", "/api/*".
func checkURL(f *check.Errors, path string, p *field.Path) {
	wildcards := strings.Count(path, "*")
	switch {
	case path == "":
		f.Invalid(p, path, "must not be empty")
	case path == "/":
	case path[0] != '/':
		f.Invalid(p, path, "must start with slash")
	case strings.Contains(path, " "):
		f.Invalid(p, path, "must not contain white-space")
	case strings.Contains(path, "//"):
		f.Invalid(p, path, "must not contain double slash")
	case wildcards > 1, wildcards == 1 && !strings.HasSuffix(path, "/*"):
		f.Invalid(p, path, "wildcard can only do suffix matching")
	}
}
