package cel

import (
	"strings"

	celgo "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
)

// Budget bounds the time that the expressions of one object take to compile. The compiler's own limits are not enough: it takes seconds for
// 10 KB of comparisons, minutes for deep lists, and does not end for 60 chained calls of optMap. The zero value is a full budget of about
// three seconds, which is ten times what large policies need. It is for one goroutine.
type Budget struct{ spent int }

const (
	budget      = 32 << 20 // steps of about 100 ns
	perByte     = 100      // steps of parsing
	maxSize     = 100_000  // characters; the compiler refuses longer expressions at once
	maxDoubling = 10
)

// doubling are macros that put what they are called on into the expression twice.
var doubling = []string{"optMap", "optFlatMap"}

// parse returns the syntax of an expression that is not too costly to check.
func (b *Budget) parse(env *celgo.Env, expression string) (*celgo.Ast, *Error) {
	doubled := 0
	for _, macro := range doubling {
		doubled += strings.Count(expression, macro)
	}
	if len(expression) <= maxSize {
		b.spent += len(expression) * perByte
	}
	if doubled > maxDoubling || b.spent > budget {
		return nil, invalid(tooComplex)
	}
	parsed, issues := env.Parse(expression)
	if issues.Err() != nil {
		return nil, invalid(failed + issues.String())
	}
	if b.charge(parsed.NativeRep()); b.spent > budget {
		return nil, invalid(tooComplex)
	}
	return parsed, nil
}

const tooComplex = "too complex: it would take too long to compile"

// charge adds what the type checker takes: the square of the size, and the fourth power of the depth of lists and maps in each other.
func (b *Budget) charge(parsed *ast.AST) {
	size := 0
	var visit func(e ast.NavigableExpr, depth int)
	visit = func(e ast.NavigableExpr, depth int) {
		size++
		if kind := e.Kind(); kind == ast.ListKind || kind == ast.MapKind {
			depth++
			b.spent += depth * depth * depth
		}
		for _, child := range e.Children() {
			if b.spent+size*size > budget {
				return
			}
			visit(child, depth)
		}
	}
	visit(ast.NavigateAST(parsed), 0)
	b.spent += size * size
}
