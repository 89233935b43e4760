package customresource

import (
	"maps"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"gantry/schema"
)

// manyForms is a schema with what schemas can say.
const manyForms = `
type: object
required: [spec]
properties:
  metadata: {type: object, properties: {name: {type: string, maxLength: 5}}}
  spec:
    type: object
    required: [text]
    minProperties: 2
    properties:
      text: {type: string, minLength: 1, maxLength: 4, pattern: "^[a-zé]+$"}
      word: {type: string, enum: [red, green], default: red}
      date: {type: string, format: date-time}
      host: {type: string, format: hostname}
      odd: {type: string, format: unheard-of}
      count: {type: integer, minimum: 0, maximum: 5}
      small: {type: integer, format: int32}
      wide: {type: integer, format: int64, default: 7}
      above: {type: integer, minimum: 1, exclusiveMinimum: true}
      share: {type: number, minimum: 1, maximum: 3}
      half: {type: number, maximum: 1.5}
      part: {type: number, multipleOf: 2}
      choice: {type: integer, enum: [1, 2]}
      flag: {type: boolean, nullable: true}
      either: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}], pattern: "^[0-9]+$"}
      plain: {x-kubernetes-int-or-string: true}
      free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {known: {type: object, properties: {a: {type: string, default: b}}}}}
      any: {x-kubernetes-preserve-unknown-fields: true}
      texts: {type: object, additionalProperties: {type: string}, maxProperties: 2}
      untyped: {type: object, additionalProperties: true}
      list: {type: array, minItems: 1, maxItems: 3, items: {type: object, required: [a], properties: {a: {type: string}, b: {type: integer, default: 1}}}}
      filled: {type: array, items: {type: string, default: x}}
      set: {type: array, x-kubernetes-list-type: set, items: {type: string}}
      map: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [a], items: {type: object, required: [a], properties: {a: {type: string}, b: {type: integer}}}}
      one: {type: object, properties: {a: {type: string}, b: {type: string}}, oneOf: [{required: [a]}, {required: [b]}]}
      no: {type: object, properties: {a: {type: string}}, not: {required: [a]}}
  status: {type: object, properties: {ready: {type: integer}}}
`

// values are what may stand anywhere, wrong or right.
var values = []any{nil, "", "a", "é", "abcdef", "red", "12", "2026-11-28T00:00:00Z", "2026-13-28", "example.com", "-", true, int64(0), int64(1), int64(3), int64(-1),
	int64(6), int64(math.MaxInt32 + 1), int64(math.MaxInt64), 0.5, 1.5, 2.0, -3.5, 1e300, map[string]any{}, map[string]any{"a": "x"}, map[string]any{"a": int64(1), "b": "y"},
	map[string]any{"known": map[string]any{}}, map[string]any{"known": map[string]any{"c": nil}}, map[string]any{"x": nil}, map[string]any{"x": map[string]any{"y": "z"}},
	[]any{}, []any{"a"}, []any{"a", "b"}, []any{"a", "b", "a"}, []any{map[string]any{"a": "x"}, map[string]any{"a": "y"}}, []any{map[string]any{"a": "x"}, map[string]any{"a": "x"}}, []any{nil}, []any{map[string]any{"a": "x", "b": int64(2)}}, []any{map[string]any{"a": "x"}}, []any{map[string]any{"a": "x", "c": "?"}}, []any{[]any{map[string]any{"z": nil}}}}

// A shape says yes to no object that Kubernetes' packages would prune, default or refuse; and it says yes to most of those that they leave alone.
func TestShapesSayNoMoreThanKubernetes(t *testing.T) {
	text, err := yaml.YAMLToJSON([]byte(manyForms))
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&source{structure: schema.NewStructure(text)}).compile()
	if err != nil {
		t.Fatal(err)
	}
	checks, err := c.validators()
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(c.structural.Properties["spec"].Properties))
	random := rand.New(rand.NewSource(1))
	yes, could := map[string]int{}, map[string]int{}
	tell := func(what string, said, is bool, object map[string]any, why any) {
		if said && !is {
			t.Errorf("%s: a shape says yes to %v: %v", what, object, why)
		}
		if is {
			could[what]++
		}
		if said {
			yes[what]++
		}
	}
	for range 8000 {
		spec := map[string]any{"text": "abc", "word": "green", "wide": int64(1)}
		for range random.Intn(4) {
			name := names[random.Intn(len(names))]
			if random.Intn(20) == 0 {
				name = "unknown"
			}
			spec[name] = runtime.DeepCopyJSONValue(values[random.Intn(len(values))])
		}
		if random.Intn(10) == 0 {
			delete(spec, names[random.Intn(len(names))])
		}
		object := map[string]any{"kind": "A", "apiVersion": "b/v1", "metadata": map[string]any{"name": strings.Repeat("n", 1+random.Intn(6))}, "spec": spec}

		pruned := runtime.DeepCopyJSON(object)
		unknown := pruning.PruneWithOptions(pruned, c.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
		defaulting.PruneNonNullableNullsWithoutDefaults(pruned, c.structural)
		tell("prune", c.shape.knowsObject(object), len(unknown) == 0 && cmp.Equal(pruned, object), object, unknown)

		defaulted := runtime.DeepCopyJSON(object)
		defaulting.Default(defaulted, c.structural)
		tell("default", c.shape.isDefaulted(object), cmp.Equal(defaulted, object), object, defaulted)

		errs := apiservervalidation.ValidateCustomResource(nil, object, checks.object)
		errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, object)...)
		tell("validate", c.allows(object), len(errs) == 0, object, errs)
	}
	for _, what := range []string{"prune", "default", "validate"} {
		if 2*yes[what] < could[what] {
			t.Errorf("%s: a shape says yes to %d of %d objects", what, yes[what], could[what])
		}
	}
}
