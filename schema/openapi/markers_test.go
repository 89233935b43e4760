package openapi

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
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
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1", "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
	"k8s.io/metrics/pkg/apis/metrics/v1beta1",
	"k8s.io/apimachinery/pkg/runtime", "k8s.io/apimachinery/pkg/api/resource", "k8s.io/apimachinery/pkg/util/intstr", "k8s.io/apimachinery/pkg/version",
}

// markedTypes are the types of marked packages that have others too, which are in no document.
var markedTypes = map[string][]string{
	"k8s.io/apimachinery/pkg/runtime":      {"RawExtension"},
	"k8s.io/apimachinery/pkg/api/resource": {"Quantity"},
	"k8s.io/apimachinery/pkg/util/intstr":  {"IntOrString"},
	"k8s.io/apimachinery/pkg/version":      {"Info"},
}

// TestMarkers keeps markers.txt equal to the comments of the types in the module version that go.mod names.
func TestMarkers(t *testing.T) {
	out, err := exec.Command("go", append([]string{"list", "-f", "{{.ImportPath}} {{.Dir}}"}, marked...)...).Output()
	if err != nil {
		t.Fatalf("finding the packages: %v", err)
	}
	var lines []string
	constants := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, packageMarkers(t, path, dir, constants)...)
	}
	for _, line := range lines {
		if _, words, _ := strings.Cut(line, "\t"); words != "" {
			if _, err := parseMarker(words); err != nil {
				t.Error(err)
			}
		}
	}
	slices.Sort(lines)
	lines = slices.Compact(lines) // a type may have files for two builds
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

// source is what the files of a package say.
type source struct {
	t         *testing.T
	path      string
	docs      map[string]map[string]string // SwaggerDoc, by type
	constants map[string]string            // values by name, those of the packages before too
	enums     map[string][]string          // the enum= of types, by type
	lines     []string
}

func packageMarkers(t *testing.T, path, dir string, constants map[string]string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	src := &source{t: t, path: path, docs: map[string]map[string]string{}, constants: constants, enums: map[string][]string{}}
	var files []*ast.File
	for _, name := range names {
		base := filepath.Base(name)
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(base, "zz_") || strings.HasSuffix(name, ".pb.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, f := range files {
		eachSpec(f, func(s ast.Spec, doc string) {
			if v, ok := s.(*ast.ValueSpec); ok {
				src.value(v, doc)
			}
		})
	}
	for _, f := range files {
		eachSpec(f, func(s ast.Spec, doc string) {
			if s, ok := s.(*ast.TypeSpec); ok && (markedTypes[path] == nil || slices.Contains(markedTypes[path], s.Name.Name)) {
				src.typeMarkers(s, doc)
			}
		})
	}
	return src.lines
}

func eachSpec(f *ast.File, each func(s ast.Spec, doc string)) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			doc := ""
			if !g.Lparen.IsValid() {
				doc = comment(g.Doc)
			}
			switch s := s.(type) {
			case *ast.ValueSpec:
				doc += comment(s.Doc)
			case *ast.TypeSpec:
				doc += comment(s.Doc)
			}
			each(s, doc)
		}
	}
}

// comment is the text of a comment with its lines as they are.
func comment(g *ast.CommentGroup) string {
	var b strings.Builder
	if g == nil {
		return ""
	}
	for _, c := range g.List {
		text, isLine := strings.CutPrefix(c.Text, "//")
		if !isLine {
			text = strings.TrimSuffix(strings.TrimPrefix(text, "/*"), "*/")
		}
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.TrimRight(line, " \t")
			if line == "" && strings.HasSuffix("\n"+b.String(), "\n\n") {
				continue // of several empty lines one counts
			}
			b.WriteString(strings.TrimPrefix(line, " ") + "\n")
		}
	}
	return b.String()
}

// value notes a constant, and what SwaggerDoc returns: var map_Pod = map[string]string{..}.
func (src *source) value(s *ast.ValueSpec, doc string) {
	for i, v := range s.Values {
		name := s.Names[i].Name
		if lit, ok := v.(*ast.CompositeLit); ok && strings.HasPrefix(name, "map_") {
			src.docs[strings.TrimPrefix(name, "map_")] = stringsOf(lit)
			continue
		}
		typ := s.Type
		if call, ok := v.(*ast.CallExpr); ok && len(call.Args) == 1 { // PathType("Exact")
			typ, v = call.Fun, call.Args[0]
		}
		text, ok := src.constant(v)
		if !ok {
			continue
		}
		src.constants[name] = text
		if ident, ok := typ.(*ast.Ident); ok {
			words := strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(doc), name)), " ")
			src.enums[ident.Name] = append(src.enums[ident.Name], strings.TrimRight("enum="+text+"|"+words, "|"))
		}
	}
}

// constant is the text of an expression, where it has one.
func (src *source) constant(v ast.Expr) (string, bool) {
	switch v := v.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(v.Value)
		return text, err == nil && v.Kind == token.STRING
	case *ast.SelectorExpr:
		text, ok := src.constants[v.Sel.Name]
		return text, ok
	}
	return "", false
}

func stringsOf(lit *ast.CompositeLit) map[string]string {
	all := map[string]string{}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			key, _ := strconv.Unquote(kv.Key.(*ast.BasicLit).Value)
			all[key], _ = strconv.Unquote(kv.Value.(*ast.BasicLit).Value)
		}
	}
	return all
}

func (src *source) typeMarkers(s *ast.TypeSpec, doc string) {
	name := s.Name.Name
	st, ok := s.Type.(*ast.StructType)
	marks := src.kept(doc, false)
	switch {
	case ok:
		marks = append(marks, src.text(doc, src.docs[name][""])...)
		marks = append(marks, unionsOf(st, doc)...)
	case strings.Contains(doc, "+enum"):
		marks = append(marks, byValue(src.enums[name])...)
	}
	src.add(name, marks)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		field, options := jsonName(f)
		if field == "" {
			continue
		}
		doc := comment(f.Doc)
		marks := src.kept(doc, !strings.Contains(options, "omitempty"))
		if t, ok := ast.Unparen(starless(f.Type)).(*ast.Ident); ok && src.enums[t.Name] != nil && strings.HasSuffix(joined(doc), "\n\n") {
			marks = append(marks, "gap")
		}
		src.add(name+"."+field, append(marks, src.text(doc, src.docs[name][field])...))
	}
}

func (src *source) add(name string, marks []string) {
	if len(marks) > 0 {
		src.lines = append(src.lines, src.path+"."+name+"\t"+strings.Join(marks, "\t"))
	}
}

// byValue has, of constants with the same value, the one with the longest comment.
func byValue(enums []string) (all []string) {
	longest := map[string]string{}
	for _, e := range enums {
		value, _, _ := strings.Cut(e, "|")
		if have, ok := longest[value]; !ok || len(e) > len(have) {
			longest[value] = e
		}
	}
	for _, value := range slices.Sorted(maps.Keys(longest)) {
		all = append(all, longest[value])
	}
	return all
}

// jsonName is the name of a field; "": it has none of its own.
func jsonName(f *ast.Field) (name, options string) {
	if f.Tag == nil {
		return "", ""
	}
	name, options, _ = strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
	if name == "-" {
		name = ""
	}
	return name, options
}

// unionsOf says of a struct of which one member is set how that is described.
func unionsOf(st *ast.StructType, doc string) []string {
	if !slices.Contains(strings.Split(doc, "\n"), "+union") {
		return nil
	}
	one, fields := map[string]any{}, map[string]string{}
	for _, f := range st.Fields.List {
		switch name, _ := jsonName(f); {
		case name == "":
		case strings.Contains(comment(f.Doc), "+unionDiscriminator"):
			one["discriminator"] = name
		default:
			fields[name] = f.Names[0].Name
		}
	}
	one["fields-to-discriminateBy"] = fields
	text, _ := json.Marshal([]any{one})
	return []string{"unions=" + string(text)}
}

// text is the marker of a description that SwaggerDoc does not have.
func (src *source) text(doc, swagger string) []string {
	want := describe(doc)
	if want == swagger {
		return nil
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(want); err != nil {
		src.t.Fatal(err)
	}
	return []string{"text=" + strings.TrimSpace(b.String())}
}

// describe is the description that upstream makes of a comment: lines are joined but for those that are indented, and empty ones; markers,
// notes and what follows a line of --- are left out.
func describe(doc string) string { return strings.TrimSpace(joined(doc)) }

// joined is describe with the empty lines around it.
func joined(doc string) string {
	var b []byte
	for _, line := range strings.Split(strings.TrimSuffix(doc, "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		leading := strings.TrimLeft(line, " ")
		if line == "---" {
			break
		}
		switch {
		case line == "":
			b = append(b[:max(len(b)-1, 0)], "\n\n"...)
		case strings.HasPrefix(leading, "TODO"), strings.HasPrefix(leading, "+"):
		case line[0] == ' ' || line[0] == '\t':
			b = append(b[:max(len(b)-1, 0)], "\n"+line+"\n"...)
		default:
			b = append(b, line+" "...)
		}
	}
	return string(b)
}

func starless(t ast.Expr) ast.Expr {
	if s, ok := t.(*ast.StarExpr); ok {
		return s.X
	}
	return t
}

// kept are the markers of a comment that the documents show. optional: the field is always written.
func (src *source) kept(doc string, optional bool) []string {
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
			if name, ok := strings.CutPrefix(value, "ref("); ok {
				mark = "default=" + strconv.Quote(src.constants[strings.TrimSuffix(name, ")")])
			}
			marks = append(marks, strings.ReplaceAll(mark, " ", ""))
		case "optional":
			if optional {
				marks = append(marks, mark)
			}
		case "required":
			if !optional {
				marks = append(marks, mark)
			}
		}
	}
	return slices.Compact(marks)
}
