package match

import (
	"context"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Environment is what expressions are compiled in, made when the first one is compiled.
var Environment = sync.OnceValue(func() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
})

// Conditions are compiled match conditions; nil matches everything.
type Conditions struct{ matcher matchconditions.Matcher }

// NewConditions compiles match conditions. An expression that does not compile is an error of each evaluation.
func NewConditions(conditions []admissionv1.MatchCondition, failure *admissionv1.FailurePolicyType, phase, name string) *Conditions {
	if len(conditions) == 0 {
		return nil
	}
	compiler := cel.NewConditionCompiler(Environment())
	evaluator := compiler.CompileCondition(Accessors(conditions), cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.StoredExpressions)
	return ConditionsOf(evaluator, failure, "webhook", phase, name)
}

// ConditionsOf are conditions that were compiled; kind, phase and name are those of metrics.
func ConditionsOf(evaluator cel.ConditionEvaluator, failure *admissionv1.FailurePolicyType, kind, phase, name string) *Conditions {
	return &Conditions{matchconditions.NewMatcher(evaluator, failure, kind, phase, name)}
}

// Accessors are match conditions as the compiler takes them.
func Accessors(conditions []admissionv1.MatchCondition) []cel.ExpressionAccessor {
	out := make([]cel.ExpressionAccessor, len(conditions))
	for i := range conditions {
		out[i] = (*matchconditions.MatchCondition)(&conditions[i])
	}
	return out
}

// Match tells whether the conditions hold; params are those of a policy. With the failure policy Ignore a failure of an expression is no match.
func (c *Conditions) Match(ctx context.Context, a *admission.VersionedAttributes, params runtime.Object, authz authorizer.Authorizer) (bool, error) {
	if c == nil {
		return true, nil
	}
	r := c.matcher.Match(ctx, a, params, authz)
	return r.Matches, r.Error
}
