package admissionregistration

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/cel"
	"gantry/schema/internal/check"
)

// expressions checks that the CEL expressions of one object compile.
type expressions struct {
	errs     *check.Errors
	budget   *cel.Budget
	compiler *cel.Admission
	params   bool // the expressions may use parameters
}

const unspecified = "expression is not specified"

// check compiles an expression. It returns false, without an error, if there is none.
func (e *expressions) check(expression string, has cel.Has, outputs cel.Outputs, p *field.Path) bool {
	has.Params = e.params
	return e.report(expression, p, func() (*cel.Program, *cel.Error) { return e.compiler.Compile(expression, has, outputs) })
}

// checkTrimmed compiles what is between the spaces around an expression.
func (e *expressions) checkTrimmed(expression string, has cel.Has, outputs cel.Outputs, p *field.Path) {
	has.Params = e.params
	e.report(expression, p, func() (*cel.Program, *cel.Error) {
		return e.compiler.Compile(strings.TrimSpace(expression), has, outputs)
	})
}

// checkPatch compiles the expression of a mutation, without the spaces around it.
func (e *expressions) checkPatch(expression string, outputs cel.Outputs, p *field.Path) {
	if !e.check(strings.TrimSpace(expression), cel.Has{Authorizer: true, Patch: true}, outputs, p) {
		e.errs.Required(p, "")
	}
}

func (e *expressions) checkVariable(name, expression string, p *field.Path) {
	has := cel.Has{Params: e.params, Authorizer: true}
	if !e.report(expression, p, func() (*cel.Program, *cel.Error) { return e.compiler.AddVariable(name, expression, has) }) {
		e.errs.Required(p, unspecified)
	}
}

// report adds the error of an expression that does not compile, and returns false if there is no expression. Nothing is compiled once no
// more errors are listed: hostile expressions take time.
func (e *expressions) report(expression string, p *field.Path, compile func() (*cel.Program, *cel.Error)) bool {
	if isBlank(expression) {
		return false
	}
	if e.errs.Full() {
		return true
	}
	if _, err := compile(); err != nil {
		e.errs.Add(cel.FieldError(p, expression, err))
	}
	return true
}

const maxConditions = 64

// checkConditions checks that conditions compile, without variables, and their names, each there once.
func (e *expressions) checkConditions(list []admissionv1.MatchCondition, p *field.Path) {
	f, plain := e.errs, *e
	plain.compiler = cel.NewAdmission(e.budget, false)
	if len(list) > maxConditions {
		f.Add(field.TooMany(p, len(list), maxConditions))
	}
	seen := map[string]bool{}
	for i, c := range list {
		if !plain.check(c.Expression, cel.Has{Authorizer: true}, cel.Condition, p.Index(i).Child("expression")) {
			f.Required(p.Index(i).Child("expression"), "")
		}
		name := p.Index(i).Child("name")
		if !f.Set(name, c.Name) {
			continue
		}
		f.Qualified(name, c.Name)
		if seen[c.Name] {
			f.Duplicate(name, c.Name)
		}
		seen[c.Name] = true
	}
}

func isBlank(text string) bool { return strings.TrimSpace(text) == "" }
