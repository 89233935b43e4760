package openapi

import (
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// Typed is the schema by which server-side apply merges and compares objects of a struct type: what is a map, a set, an atom, and by which
// keys the elements of a list are told apart. It holds the types that t reaches and no others. It takes a millisecond to make.
func Typed(t reflect.Type) (*typed.ParseableType, error) {
	m := &typedModels{markers: readMarkers(markersText), made: map[reflect.Type]string{}}
	root := m.define(deref(t))
	types := append(m.types, untypedType, deducedType)
	p := &typed.Parser{Schema: smd.Schema{Types: slices.Clip(types)}}
	parseable := p.Type(root)
	return &parseable, nil
}

// typedModels collects the types of a schema.
type typedModels struct {
	markers *markers
	types   []smd.TypeDef
	made    map[reflect.Type]string // their names
}

// The types of values whose form is not known. An atomic one is compared and replaced as a whole; the objects in a deduced one are
// merged member by member.
var (
	untypedName, deducedName = "__untyped_atomic_", "__untyped_deduced_"

	untypedAtom = smd.Atom{
		Scalar: scalar(anyScalar),
		List:   &smd.List{ElementType: smd.TypeRef{NamedType: &untypedName}, ElementRelationship: smd.Atomic},
		Map:    &smd.Map{ElementType: smd.TypeRef{NamedType: &untypedName}, ElementRelationship: smd.Atomic},
	}
	deducedAtom = smd.Atom{
		Scalar: scalar(anyScalar),
		List:   &smd.List{ElementType: smd.TypeRef{NamedType: &untypedName}, ElementRelationship: smd.Atomic},
		Map:    &smd.Map{ElementType: smd.TypeRef{NamedType: &deducedName}, ElementRelationship: smd.Separable},
	}
	untypedType = smd.TypeDef{Name: untypedName, Atom: untypedAtom}
	deducedType = smd.TypeDef{Name: deducedName, Atom: deducedAtom}
)

// anyScalar is any number, text or boolean.
const anyScalar = smd.Scalar("untyped")

func scalar(s smd.Scalar) *smd.Scalar { return &s }

// define makes the type of struct t, once, and returns its name.
func (m *typedModels) define(t reflect.Type) string {
	if name, ok := m.made[t]; ok {
		return name
	}
	name := modelName(t)
	m.made[t] = name // before its fields: types refer to themselves
	at := len(m.types)
	m.types = append(m.types, smd.TypeDef{Name: name})
	if atom, ok := specialAtom(t); ok {
		m.types[at].Atom = atom
		return name
	}
	object := &smd.Map{ElementRelationship: relationshipOf(m.markers.of(t, "").mapType)}
	m.fields(t, &object.Fields)
	if len(object.Fields) == 0 {
		object.ElementType = inlined(deducedAtom)
	}
	slices.SortFunc(object.Fields, func(a, b smd.StructField) int { return strings.Compare(a.Name, b.Name) })
	object.Fields = slices.Clip(object.Fields)
	m.types[at].Atom = smd.Atom{Map: object}
	return name
}

// specialAtom is the form of a struct that is not written as an object of its fields.
func specialAtom(t reflect.Type) (smd.Atom, bool) {
	switch t {
	case reflect.TypeFor[metav1.FieldsV1]():
		return smd.Atom{Map: &smd.Map{ElementType: inlined(deducedAtom)}}, true
	case reflect.TypeFor[resource.Quantity]():
		return smd.Atom{Scalar: scalar(anyScalar)}, true
	}
	special, ok := reflect.Zero(t).Interface().(interface {
		OpenAPISchemaType() []string
		OpenAPISchemaFormat() string
	})
	switch {
	case !ok:
		return smd.Atom{}, false
	case len(special.OpenAPISchemaType()) == 0:
		return untypedAtom, true
	case special.OpenAPISchemaFormat() != "":
		return smd.Atom{Scalar: scalar(anyScalar)}, true // a time, or a number or a text
	}
	return smd.Atom{Scalar: scalar(smd.String)}, true
}

// fields appends the fields of struct t, those of inlined structs among them.
func (m *typedModels) fields(t reflect.Type, out *[]smd.StructField) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case strings.Contains(options, "inline") || f.Anonymous && name == "":
			m.fields(deref(f.Type), out)
		default:
			marks := m.markers.of(t, name)
			field := smd.StructField{Name: name, Type: m.field(f, marks), Default: marks.fallback}
			if field.Default == nil && !strings.Contains(options, "omitempty") {
				field.Default = zeroOf(f.Type)
			}
			*out = append(*out, field)
		}
	}
}

// zeroOf is the value of a field that is always written: what an element of a list has as a key where it was left out.
func zeroOf(t reflect.Type) any {
	switch t.Kind() {
	case reflect.String:
		return ""
	case reflect.Bool:
		return false
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return int64(0)
	}
	return nil
}

// field is the type of a field with its markers.
func (m *typedModels) field(f reflect.StructField, marks *marker) smd.TypeRef {
	ref := m.ref(f.Type)
	switch {
	case ref.Inlined.List != nil && ref.Inlined.Map == nil:
		ref.Inlined.List.ElementRelationship, ref.Inlined.List.Keys = listOf(f.Tag, marks)
	case ref.Inlined.Map != nil && ref.Inlined.List == nil:
		ref.Inlined.Map.ElementRelationship = relationshipOf(marks.mapType)
	case ref.NamedType != nil && marks.mapType != "":
		r := relationshipOf(marks.mapType)
		ref.ElementRelationship = &r
	}
	return ref
}

// listOf is how the elements of a list relate: by the marker or, without one, by how strategic merge patch merges it.
func listOf(tag reflect.StructTag, marks *marker) (smd.ElementRelationship, []string) {
	switch marks.listType {
	case "set":
		return smd.Associative, nil
	case "map":
		return smd.Associative, marks.listKeys
	case "":
		if strategy := tag.Get("patchStrategy"); strategy == "merge" || strategy == "merge,retainKeys" {
			if key := tag.Get("patchMergeKey"); key != "" {
				return smd.Associative, []string{key}
			}
			return smd.Associative, nil
		}
	}
	return smd.Atomic, nil
}

// relationshipOf is that of the members of an object with a marker of its type; "": they are merged one by one.
func relationshipOf(mapType string) smd.ElementRelationship {
	switch mapType {
	case "atomic":
		return smd.Atomic
	case "granular":
		return smd.Separable
	}
	return ""
}

// ref is the type of a value without markers of its own.
func (m *typedModels) ref(t reflect.Type) smd.TypeRef {
	t = deref(t)
	switch t.Kind() {
	case reflect.Struct:
		name := untypedName // an object of any kind
		if t != reflect.TypeFor[runtime.RawExtension]() {
			name = m.define(t)
		}
		return smd.TypeRef{NamedType: &name}
	case reflect.String:
		return inlined(smd.Atom{Scalar: scalar(smd.String)})
	case reflect.Bool:
		return inlined(smd.Atom{Scalar: scalar(smd.Boolean)})
	case reflect.Map:
		return inlined(smd.Atom{Map: &smd.Map{ElementType: m.ref(t.Elem())}})
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return inlined(smd.Atom{Scalar: scalar(smd.String)})
		}
		return inlined(smd.Atom{List: &smd.List{ElementType: m.ref(t.Elem()), ElementRelationship: smd.Atomic}})
	case reflect.Interface:
		return smd.TypeRef{NamedType: &untypedName}
	}
	return inlined(smd.Atom{Scalar: scalar(smd.Numeric)})
}

func inlined(a smd.Atom) smd.TypeRef { return smd.TypeRef{Inlined: a} }
