package cel

import (
	"strings"

	celgo "github.com/google/cel-go/cel"
	apicel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/openapi"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Type is the type of objects of a kind.
type Type = apicel.DeclType

// TypeOf is the type of what a schema describes, under a name that error texts show. It is nil where the schema has none.
func TypeOf(name string, s *spec.Schema) *Type {
	declared := common.SchemaDeclType(&openapi.Schema{Schema: s}, true)
	if declared == nil {
		return nil
	}
	return declared.MaybeAssignTypeName(name)
}

// TypeChecker finds mistakes in the expressions of a policy that show only when the types of the objects are known.
type TypeChecker struct {
	budget    *Budget
	variables *Type
	env       *celgo.Env
}

// NewTypeChecker returns a checker for objects and parameters of some types: nil for unknown ones. hasParams: expressions may use parameters.
func NewTypeChecker(b *Budget, object *Type, hasParams bool, params *Type) *TypeChecker {
	variables := objectType("kubernetes.variables", nil)
	request, namespace := requestType(), namespaceType()
	types := []*Type{variables, request, namespace}
	typed := func(t *Type) *celgo.Type {
		if t == nil {
			return celgo.DynType
		}
		types = append(types, t)
		return t.CelType()
	}
	of := typed(object)
	options := []celgo.EnvOption{
		celgo.Variable("object", of), celgo.Variable("oldObject", of), celgo.Variable("namespaceObject", namespace.CelType()),
		celgo.Variable("request", request.CelType()), celgo.Variable("variables", variables.CelType()),
		celgo.Variable("authorizer", library.AuthorizerType), celgo.Variable("authorizer.requestResource", library.ResourceCheckType),
	}
	if hasParams {
		options = append(options, celgo.Variable("params", typed(params)))
	}
	return &TypeChecker{b, variables, extend(base(), types, options...)}
}

// AddVariable lets expressions use variables.<name>.
func (c *TypeChecker) AddVariable(name, expression string) {
	t, _ := c.check(expression)
	c.variables.Fields[name] = apicel.NewDeclField(name, t, true, nil, nil)
}

// Check returns what is wrong with an expression; "": nothing.
func (c *TypeChecker) Check(expression string) string {
	_, wrong := c.check(expression)
	return wrong
}

func (c *TypeChecker) check(expression string) (*Type, string) {
	parsed, err := c.budget.parse(c.env, expression)
	if err != nil {
		return apicel.DynType, strings.TrimPrefix(err.Detail, failed)
	}
	checked, issues := c.env.Check(parsed)
	if issues.Err() != nil {
		return apicel.DynType, issues.String()
	}
	return declared(checked.OutputType()), ""
}
