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

// compiled keeps what was compiled of policies of a type, once for each state of one. The zero value is ready.
type compiled[S schema.Object, P any] struct {
	mu   sync.Mutex // guards made
	made map[types.UID]state[P]
}

type state[P any] struct {
	resourceVersion string
	policy          P
}

// of are policies in the order of objects.
func (c *compiled[S, P]) of(objects []schema.Object, compile func(S) P) (all []P) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := make(map[types.UID]state[P], len(objects))
	for _, obj := range objects {
		spec, ok := obj.(S)
		if !ok {
			continue
		}
		p, ok := c.made[spec.GetUID()]
		if !ok || p.resourceVersion != spec.GetResourceVersion() {
			p = state[P]{spec.GetResourceVersion(), compile(spec)}
		}
		kept[spec.GetUID()] = p
		all = append(all, p.policy)
	}
	c.made = kept
	return all
}

// newCompiler is a compiler of expressions that know the variables of a policy.
func newCompiler(variables []admissionv1.Variable, declared cel.OptionalVariableDeclarations) (*cel.CompositedCompiler, error) {
	compiler, err := cel.NewCompositedCompiler(match.Environment())
	if err != nil {
		return nil, err
	}
	for i := range variables {
		compiler.CompileAndStoreVariable(variableName{&variables[i]}, declared, environment.StoredExpressions)
	}
	return compiler, nil
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
	declared := cel.OptionalVariableDeclarations{HasParams: spec.Spec.ParamKind != nil, HasAuthorizer: true}
	compiler, err := newCompiler(spec.Spec.Variables, declared)
	if err != nil {
		p.err = err
		return p
	}
	of := func(list []cel.ExpressionAccessor, o cel.OptionalVariableDeclarations) cel.ConditionEvaluator {
		return compiler.CompileCondition(list, o, environment.StoredExpressions)
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
