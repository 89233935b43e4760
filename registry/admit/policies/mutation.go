package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	celgo "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	apicel "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	celmutation "k8s.io/apiserver/pkg/cel/mutation"
	"k8s.io/apiserver/pkg/cel/mutation/dynamic"

	"gantry/registry/admit/match"
	"gantry/schema"
	"gantry/schema/patch"
)

// mutatingPolicy is a policy with what was compiled of it.
type mutatingPolicy struct {
	*admissionv1.MutatingAdmissionPolicy
	compiler   *cel.CompositedCompiler // knows the variables
	mutations  []cel.MutatingEvaluator // as the policy lists them
	conditions *match.Conditions
	err        error // it cannot be used
}

// patchExpression is the expression of a mutation, as the compiler takes it.
type patchExpression struct {
	text string
	of   *celgo.Type
}

func (e patchExpression) GetExpression() string      { return e.text }
func (e patchExpression) ReturnTypes() []*celgo.Type { return []*celgo.Type{e.of} }

var (
	configurationType = celgo.ObjectType("Object")
	operationsType    = celgo.ListType(celgo.ObjectType(celmutation.JSONPatchTypeName))
)

func compileMutating(spec *admissionv1.MutatingAdmissionPolicy) *mutatingPolicy {
	p := &mutatingPolicy{MutatingAdmissionPolicy: spec}
	declared := cel.OptionalVariableDeclarations{HasParams: spec.Spec.ParamKind != nil, HasAuthorizer: true}
	if p.compiler, p.err = newCompiler(spec.Spec.Variables, declared); p.err != nil {
		return p
	}
	if conditions := spec.Spec.MatchConditions; len(conditions) > 0 {
		evaluator := p.compiler.CompileCondition(match.Accessors(conditions), declared, environment.StoredExpressions)
		p.conditions = match.ConditionsOf(evaluator, spec.Spec.FailurePolicy, "policy", "validate", spec.Name)
	}
	declared.HasPatchTypes = true
	for i := range spec.Spec.Mutations {
		expression, ok := expressionOf(&spec.Spec.Mutations[i])
		if !ok {
			p.err = fmt.Errorf("mutation %d has no expression for its patchType %q", i, spec.Spec.Mutations[i].PatchType)
			return p
		}
		p.mutations = append(p.mutations, p.compiler.CompileMutatingEvaluator(expression, declared, environment.StoredExpressions))
	}
	return p
}

func expressionOf(m *admissionv1.Mutation) (e patchExpression, ok bool) {
	switch {
	case m.PatchType == admissionv1.PatchTypeApplyConfiguration && m.ApplyConfiguration != nil:
		return patchExpression{m.ApplyConfiguration.Expression, configurationType}, true
	case m.PatchType == admissionv1.PatchTypeJSONPatch && m.JSONPatch != nil:
		return patchExpression{m.JSONPatch.Expression, operationsType}, true
	}
	return e, false
}

// mutated is the object after one mutation of a policy, with its defaults.
func (m *mutation) mutated(ctx context.Context, i *invocation, at int, o match.Objects) (schema.Object, error) {
	evaluator := i.policy.mutations[at]
	if errs := evaluator.CompilationErrors(); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	e := evaluation{o.Attributes(m.request), resourceOf(m.request, i.version), i.param, m.namespace}
	bindings := cel.OptionalVariableBindings{VersionedParams: i.param, Authorizer: m.authz}
	result, _, err := evaluator.ForInput(i.policy.compiler.CreateContext(ctx), e.attributes, e.request(), bindings, m.namespace, apicel.RuntimeCELCostBudget)
	switch {
	case err != nil:
		return nil, err
	case result.Error != nil:
		return nil, result.Error
	case i.policy.Spec.Mutations[at].PatchType == admissionv1.PatchTypeJSONPatch:
		return patched(o, result.EvalResult)
	}
	return m.merged(o, result.EvalResult)
}

// merged is the object merged with a configuration, as server-side apply does it, without managers of fields.
func (m *mutation) merged(o match.Objects, result ref.Val) (schema.Object, error) {
	object, ok := result.(*dynamic.ObjectVal)
	if !ok {
		return nil, fmt.Errorf("unsupported return type from ApplyConfiguration expression: %v", result.Type())
	}
	if err := object.CheckTypeNamesMatchFieldPathNames(); err != nil {
		return nil, fmt.Errorf("type mismatch: %w", err)
	}
	value, err := jsonOf(object)
	if err != nil {
		return nil, err
	}
	config, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("invalid return type: %T", value)
	}
	config["apiVersion"], config["kind"] = o.Kind.GroupVersion().String(), o.Kind.Kind
	merged, err := m.types.Merge(o.Version, o.Object.(schema.Object), config)
	if err != nil {
		return nil, fmt.Errorf("error applying patch: %w", err)
	}
	data, err := json.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("error applying patch: %w", err)
	}
	next, _, err := o.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("error applying patch: %w", err)
	}
	return next, nil
}

// operation is an operation of a JSON patch.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// patched is the object after a list of operations. A test that does not hold leaves the object as it is.
func patched(o match.Objects, result ref.Val) (schema.Object, error) {
	list, ok := result.(traits.Lister)
	if !ok {
		return nil, errors.New("type mismatch: JSONPatchType.expression should evaluate to array")
	}
	operations := []operation{}
	for it := list.Iterator(); it.HasNext().Value() == true; {
		one, ok := it.Next().(*celmutation.JSONPatchVal)
		if !ok {
			return nil, errors.New("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
		}
		next, err := operationOf(one)
		if err != nil {
			return nil, err
		}
		operations = append(operations, next)
	}
	data, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	obj, warnings, err := o.Patch(data)
	switch {
	case patch.IsTest(err):
		return o.Object.(schema.Object), nil
	case errors.Is(err, patch.ErrConflict), errors.Is(err, patch.ErrMalformed), errors.Is(err, patch.ErrTooLarge):
		return nil, fmt.Errorf("JSON Patch: %w", err)
	case err != nil:
		return nil, match.InternalError(err)
	case len(warnings) > 0:
		return nil, match.InternalError(fmt.Errorf("strict decoding error: %s", strings.Join(warnings, ", ")))
	}
	return obj, nil
}

func operationOf(one *celmutation.JSONPatchVal) (o operation, err error) {
	o = operation{Op: one.Op, Path: one.Path, From: one.From}
	if one.Val == nil {
		return o, nil
	}
	if object, ok := one.Val.(*dynamic.ObjectVal); ok {
		if err := object.CheckTypeNamesMatchFieldPathNames(); err != nil {
			return o, fmt.Errorf("type mismatch: %w", err)
		}
	}
	value, err := jsonOf(one.Val)
	if err == nil {
		o.Value, err = json.Marshal(value)
	}
	if err != nil {
		return o, fmt.Errorf("JSONPath valueExpression evaluated to a type that could not marshal to JSON: %w", err)
	}
	return o, nil
}
