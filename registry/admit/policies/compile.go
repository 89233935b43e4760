package policies

import (
	"sync"

	celgo "github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"gantry/registry/admit/match"
	"gantry/schema"
)

// policy is a policy with what was compiled of it.
type policy struct {
	*admissionv1.ValidatingAdmissionPolicy
	validations, messages, annotations cel.ConditionEvaluator
	conditions                         *match.Conditions
	err                                error // it cannot be used
}

// checker compiles policies once for each state of them.
type checker struct {
	mu       sync.Mutex
	policies map[types.UID]*policy
}

// compiled are policies in the order in which they are checked.
func (c *checker) compiled(objects []schema.Object) (all []*policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := make(map[types.UID]*policy, len(objects))
	for _, obj := range objects {
		spec, ok := obj.(*admissionv1.ValidatingAdmissionPolicy)
		if !ok {
			continue
		}
		p := c.policies[spec.UID]
		if p == nil || p.ResourceVersion != spec.ResourceVersion {
			p = compile(spec)
		}
		kept[spec.UID] = p
		all = append(all, p)
	}
	c.policies = kept
	return all
}

// An expression of each field, as the compiler takes it.
type (
	validation   struct{ *admissionv1.Validation }
	message      struct{ *admissionv1.Validation }
	annotation   struct{ *admissionv1.AuditAnnotation }
	variableName struct{ *admissionv1.Variable }
)

func (v validation) GetExpression() string      { return v.Expression }
func (v validation) ReturnTypes() []*celgo.Type { return []*celgo.Type{celgo.BoolType} }
func (m message) GetExpression() string         { return m.MessageExpression }
func (m message) ReturnTypes() []*celgo.Type    { return []*celgo.Type{celgo.StringType} }
func (a annotation) GetExpression() string      { return a.ValueExpression }
func (a annotation) ReturnTypes() []*celgo.Type {
	return []*celgo.Type{celgo.StringType, celgo.NullType}
}
func (v variableName) GetExpression() string      { return v.Expression }
func (v variableName) ReturnTypes() []*celgo.Type { return []*celgo.Type{celgo.AnyType, celgo.DynType} }
func (v variableName) GetName() string            { return v.Name }

func compile(spec *admissionv1.ValidatingAdmissionPolicy) *policy {
	p := &policy{ValidatingAdmissionPolicy: spec}
	compiler, err := cel.NewCompositedCompiler(match.Environment())
	if err != nil {
		p.err = err
		return p
	}
	declared := cel.OptionalVariableDeclarations{HasParams: spec.Spec.ParamKind != nil, HasAuthorizer: true}
	of := func(list []cel.ExpressionAccessor, o cel.OptionalVariableDeclarations) cel.ConditionEvaluator {
		return compiler.CompileCondition(list, o, environment.StoredExpressions)
	}
	for i := range spec.Spec.Variables {
		compiler.CompileAndStoreVariable(variableName{&spec.Spec.Variables[i]}, declared, environment.StoredExpressions)
	}
	if conditions := spec.Spec.MatchConditions; len(conditions) > 0 {
		p.conditions = match.ConditionsOf(of(match.Accessors(conditions), declared), spec.Spec.FailurePolicy, "policy", "validate", spec.Name)
	}
	validations, messages := make([]cel.ExpressionAccessor, len(spec.Spec.Validations)), make([]cel.ExpressionAccessor, len(spec.Spec.Validations))
	for i := range spec.Spec.Validations {
		validations[i] = validation{&spec.Spec.Validations[i]}
		if spec.Spec.Validations[i].MessageExpression != "" {
			messages[i] = message{&spec.Spec.Validations[i]}
		}
	}
	annotations := make([]cel.ExpressionAccessor, len(spec.Spec.AuditAnnotations))
	for i := range spec.Spec.AuditAnnotations {
		annotations[i] = annotation{&spec.Spec.AuditAnnotations[i]}
	}
	p.validations, p.annotations = of(validations, declared), of(annotations, declared)
	p.messages = of(messages, cel.OptionalVariableDeclarations{HasParams: declared.HasParams})
	return p
}
