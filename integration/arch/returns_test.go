package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Go does not specify whether `return x, f()` reads x before or after the call of f. So no return may read a variable beside a
// call that may change it: a Wait for goroutines, a call that gets the variable's address, a closure that assigns it.
func TestReturnReadsNoVariableBesideACallThatChangesIt(t *testing.T) {
	fset := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				for _, r := range unorderedReturns(fn) {
					t.Errorf("%s: the return reads a variable beside a call that may change it", fset.Position(r.Pos()))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func unorderedReturns(fn *ast.FuncDecl) []*ast.ReturnStmt {
	closures := map[string]map[string]bool{} // variables that a local closure assigns
	var all []*ast.ReturnStmt
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if lit, ok := n.Rhs[0].(*ast.FuncLit); ok && len(n.Lhs) == 1 {
				closures[variable(n.Lhs[0])] = assigned(lit)
			}
		case *ast.ReturnStmt:
			read, changed := map[string]bool{}, map[string]bool{}
			for _, result := range n.Results {
				if call, ok := result.(*ast.CallExpr); ok {
					changes(call, closures, changed)
				} else if v := variable(result); v != "" && v != "nil" {
					read[v] = true
				}
			}
			for v := range read {
				if changed[v] || changed["Wait()"] {
					all = append(all, n)
					break
				}
			}
		}
		return true
	})
	return all
}

// changes adds the variables that a call may change; "Wait()" stands for any.
func changes(call *ast.CallExpr, closures map[string]map[string]bool, to map[string]bool) {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		if f.Sel.Name == "Wait" {
			to["Wait()"] = true
		}
	case *ast.Ident:
		for v := range closures[f.Name] {
			to[v] = true
		}
	}
	for _, arg := range call.Args {
		switch arg := arg.(type) {
		case *ast.UnaryExpr:
			if arg.Op == token.AND {
				to[variable(arg.X)] = true
			}
		case *ast.CallExpr:
			changes(arg, closures, to)
		}
	}
}

// assigned are the variables that a closure assigns, not those of its own.
func assigned(lit *ast.FuncLit) map[string]bool {
	all := map[string]bool{}
	ast.Inspect(lit.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok != token.DEFINE {
			for _, l := range a.Lhs {
				all[variable(l)] = true
			}
		}
		return true
	})
	return all
}

// variable is the name at the root of x, x.y and x[i], "" for other expressions.
func variable(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return variable(e.X)
	case *ast.IndexExpr:
		return variable(e.X)
	}
	return ""
}
