package cel

import (
	"fmt"
	"sync"

	celgo "github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/version"
	apicel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// compatibility is the Kubernetes version before the one that is spoken: an older server must be able to read what is stored.
var compatibility = version.MajorMinor(1, 35)

// base has the libraries that every expression may use. Those for new expressions and those for stored ones are the same in this version.
var base = sync.OnceValue(func() *celgo.Env { return environment.MustBaseEnvSet(compatibility).NewExpressionsEnv() })

// extend returns an environment with more options and types.
func extend(env *celgo.Env, declared []*apicel.DeclType, options ...celgo.EnvOption) *celgo.Env {
	if len(declared) > 0 {
		provider := apicel.NewDeclTypeProvider(declared...)
		provider.SetRecognizeKeywordAsFieldName(true)
		more, err := provider.EnvOptions(env.CELTypeProvider())
		if err != nil {
			panic(fmt.Sprintf("declaring CEL types: %v", err))
		}
		options = append(options, more...)
	}
	extended, err := env.Extend(options...)
	if err != nil {
		panic(fmt.Sprintf("extending a CEL environment: %v", err))
	}
	return extended
}

// objectType is a type with required fields.
func objectType(name string, fields types) *apicel.DeclType {
	declared := make(map[string]*apicel.DeclField, len(fields))
	for field, t := range fields {
		declared[field] = apicel.NewDeclField(field, t, true, nil, nil)
	}
	return apicel.NewObjectType(name, declared)
}
