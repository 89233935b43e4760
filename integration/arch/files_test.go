package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxFiles bounds the Go files of a package, tests included.
const maxFiles = 45

// manyFiles are the packages that have more. schema/core stays: a file there is a kind or a part of one.
var manyFiles = []string{"schema/core"}

// TestFilesOfAPackage checks that no package has more than maxFiles.
func TestFilesOfAPackage(t *testing.T) {
	files := map[string]int{}
	for _, path := range append(goFiles(t), testFiles(t)...) {
		files[filepath.Dir(path)]++
	}
	for folder, n := range files {
		if n > maxFiles && !slices.Contains(manyFiles, folder) {
			t.Errorf("%s has %d files, the most is %d: split it", folder, n, maxFiles)
		}
	}
}

// TestNoSetOfKindsIsAVariable finds package variables that hold a set of kinds. Kinds are added and removed while a program runs, so the
// set is an argument or a field.
func TestNoSetOfKindsIsAVariable(t *testing.T) {
	for _, path := range goFiles(t) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../..", path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			ast.Inspect(vars, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && isName(sel.X, "schema") && (sel.Sel.Name == "Set" || sel.Sel.Name == "NewSet") {
					t.Errorf("%s: a package variable holds a schema.Set", path)
				}
				_, inFunction := n.(*ast.FuncLit)
				return !inFunction
			})
		}
	}
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// goFiles returns the Go files of the module without tests, relative to its root.
func goFiles(t *testing.T) []string {
	t.Helper()
	return filesOf(t, func(name string) bool { return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") })
}

// testFiles returns the files of the module's tests.
func testFiles(t *testing.T) []string {
	t.Helper()
	return filesOf(t, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

func filesOf(t *testing.T, wanted func(name string) bool) (paths []string) {
	t.Helper()
	for _, top := range []string{"agents", "registry", "schema", "scripts", "integration"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && wanted(d.Name()) {
				paths = append(paths, strings.TrimPrefix(filepath.ToSlash(path), "../../"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}
