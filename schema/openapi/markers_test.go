package openapi

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite markers.txt from the comments of k8s.io/api")

// marked are the packages whose types are in the documents.
var marked = []string{
	"k8s.io/api/core/v1", "k8s.io/api/events/v1", "k8s.io/api/apps/v1", "k8s.io/api/batch/v1", "k8s.io/api/autoscaling/v1", "k8s.io/api/autoscaling/v2",
	"k8s.io/api/policy/v1", "k8s.io/api/discovery/v1", "k8s.io/api/coordination/v1", "k8s.io/api/networking/v1", "k8s.io/api/storage/v1",
	"k8s.io/api/authentication/v1", "k8s.io/api/authorization/v1", "k8s.io/api/rbac/v1", "k8s.io/api/certificates/v1",
	"k8s.io/api/scheduling/v1", "k8s.io/api/node/v1", "k8s.io/api/resource/v1",
	"k8s.io/api/admissionregistration/v1", "k8s.io/api/flowcontrol/v1",
	"k8s.io/apimachinery/pkg/apis/meta/v1",
}

// TestMarkers keeps markers.txt equal to the comments of the types in the module version that go.mod names.
func TestMarkers(t *testing.T) {
	out, err := exec.Command("go", append([]string{"list", "-f", "{{.ImportPath}} {{.Dir}}"}, marked...)...).Output()
	if err != nil {
		t.Fatalf("finding the packages: %v", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, packageMarkers(t, path, dir)...)
	}
	slices.Sort(lines)
	want := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile("markers.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, markersText); diff != "" {
		t.Errorf("markers.txt is not what the comments say; run go test ./schema/openapi -run TestMarkers -update (-want +got):\n%s", diff)
	}
}

func packageMarkers(t *testing.T, path, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	enums, values := map[string]bool{}, map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(filepath.Base(name), "zz_") || strings.HasSuffix(name, ".pb.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					constant(s, values)
				case *ast.TypeSpec:
					doc := g.Doc.Text()
					if s.Doc != nil {
						doc = s.Doc.Text()
					}
					enums[s.Name.Name] = strings.Contains(doc, "+enum")
					lines = append(lines, typeMarkers(path, s, doc)...)
				}
			}
		}
	}
	for name, is := range enums {
		if all := values[name]; is && len(all) > 0 {
			slices.Sort(all)
			lines = append(lines, path+"."+name+"\tenum="+strings.Join(slices.Compact(all), "\tenum="))
		}
	}
	return lines
}

func constant(s *ast.ValueSpec, values map[string][]string) {
	typ, ok := s.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, v := range s.Values {
		if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && text != "" {
				values[typ.Name] = append(values[typ.Name], text)
			}
		}
	}
}

func typeMarkers(path string, s *ast.TypeSpec, doc string) []string {
	var lines []string
	if marks := kept(doc, false); len(marks) > 0 {
		lines = append(lines, path+"."+s.Name.Name+"\t"+strings.Join(marks, "\t"))
	}
	st, ok := s.Type.(*ast.StructType)
	if !ok {
		return lines
	}
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		name, options, _ := strings.Cut(tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		if marks := kept(f.Doc.Text(), !strings.Contains(options, "omit")); len(marks) > 0 {
			lines = append(lines, path+"."+s.Name.Name+"."+name+"\t"+strings.Join(marks, "\t"))
		}
	}
	return lines
}

// kept are the markers of a comment that the documents show.
func kept(doc string, optional bool) []string {
	var marks []string
	for line := range strings.Lines(doc) {
		mark, ok := strings.CutPrefix(strings.TrimSpace(line), "+")
		if !ok {
			continue
		}
		key, value, _ := strings.Cut(mark, "=")
		switch key {
		case "listType", "listMapKey", "mapType", "structType":
			marks = append(marks, mark)
		case "default":
			if !strings.HasPrefix(value, "ref(") {
				marks = append(marks, strings.ReplaceAll(mark, " ", ""))
			}
		case "optional":
			if optional {
				marks = append(marks, mark)
			}
		}
	}
	return slices.Compact(marks)
}
