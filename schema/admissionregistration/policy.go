package admissionregistration

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/cel"
	"gantry/schema/internal/check"
)

type (
	validatingPolicy = admissionv1.ValidatingAdmissionPolicy
	mutatingPolicy   = admissionv1.MutatingAdmissionPolicy
)

// ValidatingAdmissionPolicy is the kind of policies that may refuse objects.
var ValidatingAdmissionPolicy = withStatus(policyKind("ValidatingAdmissionPolicy", "validatingadmissionpolicies",
	func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyList{} },
	schema.NumberColumn("Validations", "Validations indicates the number of validation rules defined in this configuration"),
	func(p *validatingPolicy) policySpec {
		s := &p.Spec
		return policySpec{s, &s.FailurePolicy, s.ParamKind, s.MatchConstraints, s.MatchConditions, s.Variables, len(s.Validations), false}
	},
	func(p, old *validatingPolicy) {
		p.Status = admissionv1.ValidatingAdmissionPolicyStatus{}
		if old != nil {
			p.Status = old.Status
		}
	},
	checkValidatingPolicy))

// MutatingAdmissionPolicy is the kind of policies that may change objects.
var MutatingAdmissionPolicy = policyKind("MutatingAdmissionPolicy", "mutatingadmissionpolicies",
	func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyList{} },
	schema.NumberColumn("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"),
	func(p *mutatingPolicy) policySpec {
		s := &p.Spec
		return policySpec{s, &s.FailurePolicy, s.ParamKind, s.MatchConstraints, s.MatchConditions, s.Variables, len(s.Mutations), true}
	},
	asWritten[*mutatingPolicy], checkMutatingPolicy)

// policySpec is what the specs of both kinds of policies have.
type policySpec struct {
	all        any // the spec itself
	failure    **admissionv1.FailurePolicyType
	params     *admissionv1.ParamKind
	match      *admissionv1.MatchResources
	conditions []admissionv1.MatchCondition
	variables  []admissionv1.Variable
	rules      int  // how many validations or mutations
	mutates    bool // rules change objects
}

func policyKind[T any, P object[T]](name, plural string, newList func() runtime.Object, count metav1.TableColumnDefinition,
	spec func(P) policySpec, prepare func(p, old P), checkRules func(P, *expressions)) *schema.Kind {
	return definition[T, P]{
		name: name, plural: plural, newList: newList,
		columns: []metav1.TableColumnDefinition{count,
			schema.TextColumn("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy")},
		row: func(p P) []any {
			s := spec(p)
			return []any{int64(s.rules), kindText(s.params)}
		},
		setDefaults: func(p P) {
			s := spec(p)
			setIfNil(s.failure, admissionv1.Fail)
			defaultMatch(s.match)
		},
		prepare: prepare,
		differ:  func(p, old P) bool { return !equality.Semantic.DeepEqual(spec(p).all, spec(old).all) },
		validate: func(p, old P) field.ErrorList {
			var f check.Errors
			s := spec(p)
			budget := &cel.Budget{}
			e := expressions{errs: &f, params: s.params != nil, budget: budget, compiler: cel.NewAdmission(budget, s.mutates || len(s.variables) > 0)}
			checkPolicy(&f, s)
			if old == nil || !sameConditions(s, spec(old)) {
				e.checkConditions(s.conditions, specPath.Child("matchConditions"))
			}
			e.checkVariables(s.variables)
			checkRules(p, &e)
			return f.List
		},
	}.kind()
}

// sameConditions tells whether a policy's match conditions are what they were, and about the same kind of parameters: they are not
// checked again.
func sameConditions(s, old policySpec) bool {
	return equality.Semantic.DeepEqual(s.params, old.params) && equality.Semantic.DeepEqual(s.conditions, old.conditions)
}

func withStatus(k *schema.Kind) *schema.Kind {
	k.Subresources = []schema.Subresource{schema.Status(prepareStatus, validateStatus).Resetting("metadata")}
	return k
}

func defaultMatch(m *admissionv1.MatchResources) {
	if m == nil {
		return
	}
	setIfNil(&m.MatchPolicy, admissionv1.Equivalent)
	setIfNil(&m.NamespaceSelector, metav1.LabelSelector{})
	setIfNil(&m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			setIfNil(&rules[i].Scope, admissionv1.AllScopes)
		}
	}
}

func prepareStatus(p, old *validatingPolicy) {
	p.Spec = old.Spec
	metav1.ResetObjectMetaForStatus(&p.ObjectMeta, &old.ObjectMeta)
}

const unset = "<unset>"

// kindText is "example.com/v1/Limit".
func kindText(kind *admissionv1.ParamKind) string {
	if kind == nil {
		return unset
	}
	return kind.APIVersion + "/" + kind.Kind
}
