package cel

import (
	"fmt"
	"slices"

	celgo "github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apiservercel "k8s.io/apiserver/pkg/apis/cel"
	apicel "k8s.io/apiserver/pkg/cel"
)

// Program is a compiled expression.
type Program struct {
	celgo.Program
	// Output is the type of what the expression evaluates to.
	Output *celgo.Type
}

// Error tells why an expression does not compile.
type Error = apicel.Error

// FieldError is the error of the field that has the expression.
func FieldError(p *field.Path, expression string, err *Error) *field.Error {
	if err.Type == apicel.ErrorTypeInternal {
		return field.InternalError(p, err)
	}
	return field.Invalid(p, expression, err.Detail)
}

// failed begins the text of what the compiler says.
const failed = "compilation failed: "

func invalid(detail string) *Error  { return &Error{Type: apicel.ErrorTypeInvalid, Detail: detail} }
func internal(detail string) *Error { return &Error{Type: apicel.ErrorTypeInternal, Detail: detail} }

// compile returns a program whose output has one of the types. No types stand for any.
func compile(b *Budget, env *celgo.Env, expression string, outputs Outputs) (*Program, *Error) {
	parsed, wrong := b.parse(env, expression)
	if wrong != nil {
		return nil, wrong
	}
	ast, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, invalid(failed + issues.String())
	}
	if !outputs.include(ast.OutputType()) {
		if len(outputs) == 1 {
			return nil, invalid(fmt.Sprintf("must evaluate to %v but got %v", outputs[0], ast.OutputType()))
		}
		return nil, invalid(fmt.Sprintf("must evaluate to one of %v but got %v", outputs, ast.OutputType()))
	}
	program, err := env.Program(ast, celgo.InterruptCheckFrequency(apiservercel.CheckFrequency))
	if err != nil {
		return nil, internal("program instantiation failed: " + err.Error())
	}
	return &Program{Program: program, Output: ast.OutputType()}, nil
}

func (o Outputs) include(t *celgo.Type) bool {
	return len(o) == 0 || slices.ContainsFunc(o, t.IsExactType)
}
