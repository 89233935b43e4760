package cel

import (
	"sync"

	celgo "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/traits"
	apicel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/mutation"
)

// Has tells what an expression may use besides object, oldObject, request and namespaceObject.
type Has struct {
	Params     bool // params: the object that a policy is configured by
	Authorizer bool // authorizer and authorizer.requestResource
	Patch      bool // Object{}, JSONPatch{} and jsonpatch.escapeKey(), of which mutations are made
}

// Outputs are types of which an expression has to evaluate to one.
type Outputs []*celgo.Type

// What expressions of admission evaluate to. Variables may have any type.
var (
	Condition          = Outputs{celgo.BoolType}
	Message            = Outputs{celgo.StringType}
	Annotation         = Outputs{celgo.StringType, celgo.NullType}
	ApplyConfiguration = Outputs{celgo.ObjectType(mutation.ObjectTypeName)}
	JSONPatch          = Outputs{celgo.ListType(celgo.ObjectType(mutation.JSONPatchTypeName))}
)

// Admission compiles expressions about requests. It is for one goroutine; its programs are for any.
type Admission struct {
	budget    *Budget
	variables *apicel.DeclType // nil without variables
	envs      map[Has]*celgo.Env
}

// NewAdmission returns a compiler that takes from a budget. To one with variables, variables can be added.
func NewAdmission(b *Budget, variables bool) *Admission {
	a := &Admission{budget: b}
	if variables {
		a.variables, a.envs = objectType("kubernetes.variables", nil), map[Has]*celgo.Env{}
	}
	return a
}

// Compile compiles an expression.
func (a *Admission) Compile(expression string, has Has, outputs Outputs) (*Program, *Error) {
	return compile(a.budget, a.env(has), expression, outputs)
}

// AddVariable compiles an expression that those compiled later may use as variables.<name>. It is of unknown type if it does not compile.
func (a *Admission) AddVariable(name, expression string, has Has) (*Program, *Error) {
	program, err := compile(a.budget, a.env(has), expression, nil)
	t := apicel.DynType
	if err == nil {
		t = declared(program.Output)
	}
	a.variables.Fields[name] = apicel.NewDeclField(name, t, true, nil, nil)
	return program, err
}

func (a *Admission) env(has Has) *celgo.Env {
	if a.variables == nil {
		return admissionEnvs.get(has)
	}
	env := a.envs[has]
	if env == nil {
		without := has
		without.Patch = false
		env = extend(admissionEnvs.get(without), []*apicel.DeclType{a.variables}, celgo.Variable("variables", a.variables.CelType()))
		if has.Patch {
			env = extend(env, nil, patchOptions()...)
		}
		a.envs[has] = env
	}
	return env
}

// envs are the environments of expressions without variables. Each is made on first use.
type envs struct {
	mu  sync.Mutex
	all map[Has]*celgo.Env
}

var admissionEnvs = envs{all: map[Has]*celgo.Env{}}

func (e *envs) get(has Has) *celgo.Env {
	e.mu.Lock()
	defer e.mu.Unlock()
	env := e.all[has]
	if env == nil {
		env = extend(admissionBase(), nil, optionsOf(has)...)
		e.all[has] = env
	}
	return env
}

var admissionBase = sync.OnceValue(func() *celgo.Env {
	request, namespace := requestType(), namespaceType()
	return extend(base(), []*apicel.DeclType{namespace, request},
		celgo.Variable("object", celgo.DynType), celgo.Variable("oldObject", celgo.DynType),
		celgo.Variable("namespaceObject", namespace.CelType()), celgo.Variable("request", request.CelType()))
})

func optionsOf(has Has) []celgo.EnvOption {
	var options []celgo.EnvOption
	if has.Params {
		options = append(options, celgo.Variable("params", celgo.DynType))
	}
	if has.Authorizer {
		options = append(options, celgo.Variable("authorizer", library.AuthorizerType), celgo.Variable("authorizer.requestResource", library.ResourceCheckType))
	}
	if has.Patch {
		options = append(options, patchOptions()...)
	}
	return options
}

func patchOptions() []celgo.EnvOption {
	return []celgo.EnvOption{common.ResolverEnvOption(&mutation.DynamicTypeResolver{}), environment.UnversionedLib(library.JSONPatch)}
}

// plainTypes are the types that a variable keeps, besides lists and maps of them; the others are not known where it is used.
var plainTypes = map[*celgo.Type]*apicel.DeclType{
	celgo.AnyType: apicel.AnyType, celgo.BoolType: apicel.BoolType, celgo.BytesType: apicel.BytesType, celgo.DoubleType: apicel.DoubleType,
	celgo.DurationType: apicel.DurationType, celgo.IntType: apicel.IntType, celgo.NullType: apicel.NullType, celgo.StringType: apicel.StringType,
	celgo.TimestampType: apicel.TimestampType, celgo.UintType: apicel.UintType,
}

func declared(t *celgo.Type) *apicel.DeclType {
	if plain := plainTypes[t]; plain != nil {
		return plain
	}
	if !t.HasTrait(traits.ContainerType) || !t.HasTrait(traits.IndexerType) {
		return apicel.DynType
	}
	switch of := t.Parameters(); len(of) {
	case 1:
		return apicel.NewListType(declared(of[0]), -1)
	case 2:
		return apicel.NewMapType(declared(of[0]), declared(of[1]), -1)
	default:
		return apicel.DynType
	}
}
