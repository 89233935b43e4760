package openapi_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"gantry/schema/apps"
	"gantry/schema/kinds"
	"gantry/schema/openapi"
)

// TestTypedIsUpstreams compares the types that each built-in kind reaches with those of client-go's apply configurations.
func TestTypedIsUpstreams(t *testing.T) {
	upstream := map[string]smd.TypeDef{}
	for _, d := range upstreamTypes(t) {
		upstream[d.Name] = d
	}
	compared := map[string]bool{}
	for _, k := range kinds.BuiltIn().All {
		for _, v := range k.Served() {
			p, err := openapi.Typed(v.Type())
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range p.Schema.Types {
				want, ok := upstream[got.Name]
				// client-go has no types of the aggregator and of extensions.
				other := !ok && !strings.HasPrefix(got.Name, "io.k8s.api.") && !strings.HasPrefix(got.Name, "io.k8s.apimachinery.")
				if other || compared[got.Name] || differs[got.Name] {
					continue
				}
				compared[got.Name] = true
				if !ok {
					t.Errorf("%s %s: upstream has no type %s", v.APIVersion(), v.Kind, got.Name)
				}
				if diff := cmp.Diff(want, got, typedOptions...); diff != "" {
					t.Errorf("%s (-upstream +got):\n%s", got.Name, diff)
				}
			}
		}
	}
	if len(compared) < 100 {
		t.Errorf("only %d types were compared", len(compared))
	}
}

// differs are types that need not be alike.
var differs = map[string]bool{
	"io.k8s.api.core.v1.AzureDiskVolumeSource": true, // its defaults are the names of constants, and no keys of a list
}

// typedOptions leave out what has no effect: the order of fields, and defaults that are not a text, number or boolean (those of keys of lists
// alone are read).
var typedOptions = cmp.Options{
	cmpopts.SortSlices(func(a, b smd.StructField) bool { return a.Name < b.Name }),
	cmpopts.IgnoreUnexported(smd.Map{}),
	cmpopts.IgnoreFields(smd.Map{}, "Unions"), // servers do not have them
	cmpopts.EquateEmpty(),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Default" }, cmp.Comparer(func(a, b any) bool { return plainDefault(a) == plainDefault(b) })),
}

func plainDefault(v any) any {
	switch v := v.(type) {
	case string, bool:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return nil
}

// upstreamTypes are those in the text of client-go's applyconfigurations/internal.
func upstreamTypes(t *testing.T) []smd.TypeDef {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "k8s.io/client-go/applyconfigurations/internal").Output()
	if err != nil {
		t.Fatalf("finding client-go: %v", err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "internal.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	ast.Inspect(f, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && strings.HasPrefix(lit.Value, "`types:") {
			text, err = strconv.Unquote(lit.Value)
		}
		return true
	})
	if err != nil || text == "" {
		t.Fatalf("client-go has no schema (%v)", err)
	}
	p, err := typed.NewParser(typed.YAMLObject(text))
	if err != nil {
		t.Fatal(err)
	}
	return p.Schema.Types
}

func BenchmarkTyped(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := openapi.Typed(apps.Deployment.Type()); err != nil {
			b.Fatal(err)
		}
	}
}
