package customresource

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"gantry/schema"
	"gantry/schema/apiextensions"
)

const widgets = `
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: Widgets, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    additionalPrinterColumns:
    - {name: Colour, type: string, jsonPath: .spec.colour, description: the colour}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Share, type: number, jsonPath: .spec.share}
    - {name: Ports, type: string, jsonPath: ".spec.ports[*].name", priority: 1}
    - {name: Ready, type: boolean, jsonPath: .status.ready}
    - {name: Since, type: date, jsonPath: .status.since}
    selectableFields: [{jsonPath: .spec.colour}, {jsonPath: .spec.replicas}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [colour]
            x-kubernetes-validations:
            - {rule: self.replicas >= self.min, message: replicas must be at least min, fieldPath: .replicas}
            - {rule: "self.colour == oldSelf.colour || oldSelf.colour != 'fixed'", messageExpression: "'colour ' + oldSelf.colour + ' stays'"}
            properties:
              colour: {type: string, maxLength: 10}
              replicas: {type: integer, minimum: 0, default: 1}
              min: {type: integer, default: 0}
              share: {type: number}
              any: {type: object, x-kubernetes-preserve-unknown-fields: true}
              port: {x-kubernetes-int-or-string: true}
              template: {type: object, x-kubernetes-embedded-resource: true, properties: {spec: {type: object}}}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}}}
          status:
            type: object
            properties:
              replicas: {type: integer, maximum: 100}
              selector: {type: string}
              ready: {type: boolean}
              since: {type: string}
  - name: v1alpha1
    served: true
    deprecated: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {colour: {type: string, maxLength: 3}, replicas: {type: integer}}}}}}
  - {name: v0, served: false, schema: {openAPIV3Schema: {type: object}}}
`

// kindOf is the kind of a definition in YAML whose names are accepted.
func kindOf(t testing.TB, text string) *schema.Kind {
	t.Helper()
	k, err := Kind(read(t, text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func read(t testing.TB, text string) *definition {
	t.Helper()
	d := &definition{}
	if err := yaml.UnmarshalStrict([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	apiextensions.CustomResourceDefinition.Default(d)
	apiextensions.CustomResourceDefinition.PrepareCreate(d)
	if errs := apiextensions.CustomResourceDefinition.Validate(d); len(errs) > 0 {
		t.Fatal(errs)
	}
	d.Status.AcceptedNames = d.Spec.Names
	return d
}

// object decodes and defaults the spec of a widget.
func object(t testing.TB, k *schema.Kind, rest string) *unstructured.Unstructured {
	t.Helper()
	obj, _ := decoded(t, k.Stored(), rest)
	k.Default(obj)
	return obj
}

func decoded(t testing.TB, v *schema.Version, rest string) (*unstructured.Unstructured, []string) {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte("metadata: {name: a, namespace: default, resourceVersion: \"1\"}\n" + rest))
	if err != nil {
		t.Fatal(err)
	}
	obj, unknown, err := schema.Decode(v, text)
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*unstructured.Unstructured), unknown
}

func TestNames(t *testing.T) {
	k := kindOf(t, widgets)
	if k.Prefix != "example.com/widgets" || !k.Namespaced || k.ListKind() != "Widgets" || !slices.Equal(k.ShortNames, []string{"wd"}) || len(k.Versions) != 2 || len(k.Served()) != 2 {
		t.Errorf("%+v", k)
	}
	old := k.Versions[0]
	if want := "example.com/v1alpha1 Widget is deprecated; use example.com/v1 Widget"; old.DeprecationWarning != want || old.Version != "v1alpha1" {
		t.Errorf("%s: %q", old.Version, old.DeprecationWarning)
	}
	d := read(t, widgets)
	d.Spec.Versions[0].Served = false
	apiextensions.SetCondition(d, apiextensions.Condition{Type: apiextensionsv1.Terminating, Status: "True"}, time.Now())
	if k, err := Kind(d, nil); err != nil || !k.NotServed || len(k.Served()) != 1 || k.RefuseCreate == "" {
		t.Errorf("%+v, %v", k, err)
	}
}

func TestNoKind(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*definition)
		want   string
	}{
		{"no names", func(d *definition) { d.Status.AcceptedNames.Kind = "" }, "no names"},
		{"a name with a slash", func(d *definition) { d.Status.AcceptedNames.Plural = "a/b" }, "no name of a resource"},
		{"nothing is stored", func(d *definition) { d.Spec.Versions[0].Storage = false }, "no version"},
		{"not structural", func(d *definition) {
			d.Spec.Versions[0].Schema.OpenAPIV3Schema.Items = &apiextensionsv1.JSONSchemaPropsOrArray{JSONSchemas: make([]apiextensionsv1.JSONSchemaProps, 2)}
		}, "not structural"},
		{"no path", func(d *definition) { d.Spec.Versions[0].AdditionalPrinterColumns[0].JSONPath = ".[" }, "unrecognized column"},
	} {
		d := read(t, widgets)
		tt.change(d)
		if _, err := Kind(d, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestPruningAndDefaults(t *testing.T) {
	k := kindOf(t, widgets)
	u, unknown := decoded(t, k.Stored(), `
spec: {colour: red, bogus: 1, any: {x: {z: 1}}, port: "80", min: null, template: {apiVersion: v1, kind: Pod, metadata: {name: x, bogus: 1}, spec: {x: 1}, z: 1}}
other: 1`)
	if want := []string{`unknown field "other"`, `unknown field "spec.bogus"`, `unknown field "spec.template.spec.x"`, `unknown field "spec.template.z"`, `unknown field "spec.template.metadata.bogus"`}; !slices.Equal(unknown, want) {
		t.Errorf("unknown: %q", unknown)
	}
	k.Default(u)
	k.Default(u) // twice, as what is read
	want := map[string]any{
		"colour": "red", "any": map[string]any{"x": map[string]any{"z": int64(1)}}, "port": "80", "min": int64(0), "replicas": int64(1),
		"template": map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "x"}, "spec": map[string]any{}},
	}
	if diff := cmp.Diff(want, u.Object["spec"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := []byte(`{"metadata":{"name":"a"},"spec":{"template":{"metadata":{"labels":1}}}}`)
	if _, _, err := schema.Decode(k.Stored(), text); err == nil {
		t.Error("metadata of an embedded object that is none is read")
	}
}

// TestDefaultStatus creates an object whose schema has a default for the status, as flux's have.
func TestDefaultStatus(t *testing.T) {
	k := kindOf(t, `
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: Widgets}
  versions:
  - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {
      status: {type: object, default: {observedGeneration: -1}, properties: {observedGeneration: {type: integer}}}}}}}
`)
	u := object(t, k, "status: {observedGeneration: 7}")
	k.PrepareCreate(u)
	if got, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration"); got != -1 {
		t.Errorf("the status is %v", u.Object["status"])
	}
}

func texts(errs field.ErrorList) (all []string) {
	for _, e := range errs {
		all = append(all, e.Error())
	}
	return all
}

func TestErrors(t *testing.T) {
	k := kindOf(t, widgets)
	const notChecked = "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
	for _, tt := range []struct {
		name, old, obj string
		want           []string
	}{
		{name: "good", obj: "spec: {colour: red}"},
		{name: "required", obj: "spec: {}", want: []string{"spec.colour: Required value", notChecked}},
		{name: "types", obj: "spec: {colour: 1, port: true}", want: []string{
			`spec.colour: Invalid value: "integer": spec.colour in body must be of type string: "integer"`,
			`spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"`, notChecked}},
		{name: "length", obj: "spec: {colour: abcdefghijk}", want: []string{"spec.colour: Too long: may not be more than 10 bytes", notChecked}},
		{name: "scale", obj: "spec: {colour: red, replicas: -1}\nstatus: {replicas: 3000000000}", want: []string{
			"status.replicas: Invalid value: 3000000000: status.replicas in body should be less than or equal to 100",
			"spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
			".spec.replicas: Invalid value: -1: should be a non-negative integer",
			".status.replicas: Invalid value: 3000000000: should be less than or equal to 2147483647",
			"spec.replicas: Invalid value: replicas must be at least min"}},
		{name: "a key twice", obj: "spec: {colour: red, ports: [{name: a}, {name: a}]}", want: []string{`spec.ports[1]: Duplicate value: {"name":"a"}`}},
		{name: "embedded", obj: "spec: {colour: red, template: {kind: Pod}}", want: []string{`spec.template.apiVersion: Required value`, notChecked}},
		{name: "rule", obj: "spec: {colour: red, min: 2}", want: []string{`spec.replicas: Invalid value: replicas must be at least min`}},
		{name: "transition", old: "spec: {colour: fixed}", obj: "spec: {colour: red}", want: []string{`spec: Invalid value: colour fixed stays`}},
		{name: "what was wrong stays", old: "spec: {colour: abcdefghijk}", obj: "spec: {colour: abcdefghijk, replicas: 2}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			obj := object(t, k, tt.obj)
			obj.SetResourceVersion("1")
			errs := k.ErrorsOf(nil, obj, nil)
			if tt.old != "" {
				errs = k.ErrorsOf(nil, obj, object(t, k, tt.old))
			}
			got := texts(errs)
			slices.Sort(got)
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	status := k.Subresource("status")
	obj, old := object(t, k, "spec: {colour: abcdefghijk}\nstatus: {replicas: 101}"), object(t, k, "spec: {colour: abcdefghijk}")
	if got, want := texts(status.Validate(obj, old)), []string{"status.replicas: Invalid value: 101: replicas in body should be less than or equal to 100"}; !slices.Equal(got, want) {
		t.Errorf("status: %q", got)
	}
}

func TestOtherVersion(t *testing.T) {
	k := kindOf(t, widgets)
	v := k.Versions[0]
	u, unknown := decoded(t, v, "spec: {colour: red, any: {}}")
	if !slices.Equal(unknown, []string{`unknown field "spec.any"`}) {
		t.Errorf("unknown: %q", unknown)
	}
	stored, err := schema.ToStored(t.Context(), k, v, []schema.Object{u})
	if err != nil || stored[0].GetObjectKind().GroupVersionKind() != k.GVK() {
		t.Fatal(stored, err)
	}
	if got := texts(k.RulesOf(v).ErrorsOf(v, object(t, k, "spec: {colour: green}"), nil)); !slices.Equal(got, []string{"spec.colour: Too long: may not be more than 3 bytes"}) {
		t.Errorf("%q", got)
	}
	back, err := schema.FromStored(t.Context(), k, v, []schema.Object{object(t, k, "spec: {colour: red, any: {x: 1}}\nstatus: {ready: true}")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"colour": "red", "replicas": int64(1)}, back[0].(*unstructured.Unstructured).Object["spec"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestColumnsAndFields(t *testing.T) {
	k := kindOf(t, widgets)
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	u := object(t, k, `
spec: {colour: red, replicas: 3, share: 2, ports: [{name: a}, {name: b}]}
status: {ready: true, since: "2026-03-01T11:00:00Z"}`)
	if diff := cmp.Diff([]any{"a", "red", int64(3), 2.0, "a", true, "60m"}, k.Row(u, now)); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"a", nil, nil, nil, nil, nil, "<invalid>"}, k.Row(&unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "a"}, "spec": map[string]any{"replicas": "x"}, "status": map[string]any{"ready": "x", "since": "x"}}}, now)); diff != "" {
		t.Errorf("row of another (-want +got):\n%s", diff)
	}
	if c := k.Columns; len(c) != 7 || c[1].Description != "the colour" || c[2].Description != "Custom resource definition column (in JSONPath format): .spec.replicas" || c[4].Priority != 1 {
		t.Errorf("columns: %+v", c)
	}
	if f := k.Fields; len(f) != 2 || f[0].Path != "spec.colour" || f[0].Value(u) != "red" || f[1].Value(u) != "3" || f[0].Value(k.New()) != "" {
		t.Errorf("fields: %+v", f)
	}
	if c := k.Versions[0].Columns; len(c) != 2 || c[1].Name != "Age" {
		t.Errorf("columns without a definition: %+v", c)
	}
}

func TestWarnings(t *testing.T) {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetFinalizers([]string{"example.com/x", "kubernetes", "x.y", "z"})
	want := []string{
		`metadata.finalizers: "x.y": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers`,
		`metadata.finalizers: "z": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`,
	}
	if diff := cmp.Diff(want, warnings(u, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := warnings(u, u); got != nil {
		t.Errorf("of what was there: %q", got)
	}
}

// Compiled schemas are let go of, the ones that were not used for longest first.
func TestRecently(t *testing.T) {
	var r recently
	half := func() *compiled { return &compiled{size: maxRecent / 2} }
	a, b, c := half(), half(), half()
	for _, used := range []*compiled{a, b, a, a, c} {
		r.keep(used)
	}
	if !slices.Equal(r.all, []*compiled{c, a}) || r.size != maxRecent {
		t.Errorf("%d kept, %d bytes", len(r.all), r.size)
	}
	large := &compiled{size: 2 * maxRecent}
	r.keep(large)
	if !slices.Equal(r.all, []*compiled{large}) {
		t.Errorf("%d kept beside a large one", len(r.all))
	}
}
