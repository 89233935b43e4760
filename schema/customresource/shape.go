package customresource

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"unicode/utf8"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
)

// shape is a structural schema in a form by which it is told quickly, without allocating, that an object is as it should be. Most are. Where a shape
// cannot tell, or an object is not, Kubernetes' own packages prune, default and validate it: a shape only ever says yes for what they would not
// change or complain about.
type shape struct {
	kind        string // "object", "array", "string", "integer", "number", "boolean", intOrString, anything
	unclear     bool   // of its values it cannot be told whether they are valid
	properties  map[string]*shape
	others      *shape // of the other members of an object; nil: see open and scalars
	open        bool   // other members are kept
	scalars     bool   // other members are kept where they are neither objects nor lists
	items       *shape
	isSet       bool     // its elements are scalars, each once
	keys        []string // of a list that is a map
	required    []string
	defaults    []string // the properties that have one
	hasDefaults bool     // it, or one within it
	size        bounds   // of members, elements or characters
	value       bounds
	format      string
	pattern     *regexp.Regexp
	enum        []string // nil: any
}

// Kinds that are no type of JSON.
const (
	intOrString = "int-or-string"
	anything    = "anything"
)

// bounds are those of a number: integers.
type bounds struct{ least, most float64 }

var unbounded = bounds{math.Inf(-1), math.Inf(1)}

func (b bounds) has(n float64) bool { return b.least <= n && n <= b.most }

// newShape is the shape of a schema.
func newShape(s *structuralschema.Structural) *shape {
	n := &shape{kind: s.Type, open: s.XPreserveUnknownFields, size: unbounded, value: unbounded}
	if list := s.XListType; list != nil {
		n.isSet, n.keys = *list == "set", s.XListMapKeys
	}
	switch {
	case s.XIntOrString:
		n.kind = intOrString
	case s.Type == "" && s.XPreserveUnknownFields && len(s.Properties) == 0 && s.AdditionalProperties == nil && s.Items == nil:
		n.kind = anything
	}
	if len(s.Properties) > 0 {
		n.properties = make(map[string]*shape, len(s.Properties))
	}
	for name := range s.Properties {
		of := s.Properties[name]
		p := newShape(&of)
		n.properties[name] = p
		if of.Default.Object != nil {
			n.defaults = append(n.defaults, name)
		}
		n.hasDefaults = n.hasDefaults || of.Default.Object != nil || p.hasDefaults
	}
	if more := s.AdditionalProperties; more != nil {
		n.scalars = more.Structural == nil
		n.unclear = n.scalars && !more.Bool
		if more.Structural != nil {
			n.others = newShape(more.Structural)
			n.hasDefaults = n.hasDefaults || n.others.hasDefaults || more.Structural.Default.Object != nil
		}
	}
	if s.Items != nil {
		n.items = newShape(s.Items)
		n.hasDefaults = n.hasDefaults || n.items.hasDefaults || s.Items.Default.Object != nil
	}
	if s.ValueValidation != nil {
		n.read(s.ValueValidation)
	}
	return n
}

// read takes over what values must be.
func (n *shape) read(v *structuralschema.ValueValidation) {
	if reflect.DeepEqual(*v, structuralschema.ValueValidation{}) {
		return
	}
	either := n.kind == intOrString && isIntOrString(v.AnyOf)
	if v.AllOf != nil || v.OneOf != nil || v.AnyOf != nil && !either || v.Not != nil || v.MultipleOf != nil || v.UniqueItems || n.kind == anything {
		n.unclear = true
	}
	n.required = v.Required
	switch n.kind {
	case "object":
		n.size = between(v.MinProperties, v.MaxProperties)
	case "array":
		n.size = between(v.MinItems, v.MaxItems)
	default:
		n.size = between(v.MinLength, v.MaxLength)
	}
	n.unclear = n.unclear || !n.value.set(v) || !n.knowsFormat(v.Format) || n.kind == intOrString && n.value != unbounded
	if n.format = v.Format; n.format == "int32" {
		n.value = bounds{max(n.value.least, math.MinInt32), min(n.value.most, math.MaxInt32)}
	}
	if v.Pattern != "" {
		var err error
		n.pattern, err = regexp.Compile(v.Pattern)
		n.unclear = n.unclear || err != nil
	}
	for _, e := range v.Enum {
		text, ok := e.Object.(string)
		n.enum = append(n.enum, text)
		n.unclear = n.unclear || !ok
	}
}

func (n *shape) knowsFormat(format string) bool {
	switch format {
	case "":
		return true
	case "date-time":
		return n.kind == "string"
	case "int32", "int64":
		return n.kind == "integer"
	}
	return false
}

// isIntOrString tells that alternatives are what x-kubernetes-int-or-string says already.
func isIntOrString(of []structuralschema.NestedValueValidation) bool {
	return len(of) == 2 && of[0].ForbiddenGenerics.Type == "integer" && of[1].ForbiddenGenerics.Type == "string"
}

func between(least, most *int64) bounds {
	b := unbounded
	if least != nil {
		b.least = float64(*least)
	}
	if most != nil {
		b.most = float64(*most)
	}
	return b
}

// set makes b the bounds of numbers; false: they are not integers that a float64 holds exactly, of which Kubernetes' rules are peculiar.
func (b *bounds) set(v *structuralschema.ValueValidation) bool {
	exact := func(f float64) bool { return f == math.Trunc(f) && math.Abs(f) < math.MaxInt32 }
	if v.ExclusiveMinimum || v.ExclusiveMaximum {
		return false
	}
	if v.Minimum != nil {
		b.least = *v.Minimum
	}
	if v.Maximum != nil {
		b.most = *v.Maximum
	}
	return (v.Minimum == nil || exact(b.least)) && (v.Maximum == nil || exact(b.most))
}

// isMeta tells that a member of an object is there whatever its schema says.
func isMeta(name string) bool { return name == "metadata" || name == "kind" || name == "apiVersion" }

// member is the shape of a member of an object; nil: it has none.
func (n *shape) member(name string) *shape {
	if p := n.properties[name]; p != nil {
		return p
	}
	return n.others
}

// knowsObject tells that nothing is pruned from an object.
func (n *shape) knowsObject(object map[string]any) bool {
	for name, value := range object {
		if !isMeta(name) && !n.knowsMember(name, value) {
			return false
		}
	}
	return true
}

func (n *shape) knowsMember(name string, value any) bool {
	p := n.member(name)
	switch {
	case p != nil:
		return p.knows(value)
	case n.scalars:
		return isScalar(value)
	}
	return n.open
}

func isScalar(value any) bool {
	switch value.(type) {
	case string, int64, float64, bool:
		return true
	}
	return false
}

// knows tells that nothing is pruned from a value. Nulls may be.
func (n *shape) knows(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if !n.knowsMember(name, inner) {
				return false
			}
		}
		return true
	case []any:
		for _, inner := range value {
			if n.items != nil && !n.items.knows(inner) || n.items == nil && n.kind != anything {
				return false
			}
		}
		return true
	}
	return value != nil
}

// isDefaulted tells that a value has all defaults.
func (n *shape) isDefaulted(value any) bool {
	if !n.hasDefaults {
		return true
	}
	switch value := value.(type) {
	case map[string]any:
		for _, name := range n.defaults {
			if value[name] == nil {
				return false
			}
		}
		for name, inner := range value {
			if p := n.member(name); inner == nil || p != nil && !p.isDefaulted(inner) {
				return false
			}
		}
	case []any:
		for _, inner := range value {
			if inner == nil || n.items != nil && !n.items.isDefaulted(inner) {
				return false
			}
		}
	}
	return value != nil
}

// allows tells that a value is valid, the lists in it that are sets and maps as well; false: it is not, or it is not clear.
func (n *shape) allows(value any) bool {
	if n.unclear {
		return false
	}
	if n.kind == anything {
		return value != nil
	}
	switch value := value.(type) {
	case map[string]any:
		return n.kind == "object" && n.allowsObject(value)
	case []any:
		return n.kind == "array" && n.allowsList(value)
	case string:
		return (n.kind == "string" || n.kind == intOrString) && n.allowsText(value)
	case int64:
		return (n.kind == "integer" || n.kind == "number" || n.kind == intOrString) && n.enum == nil && n.value.has(float64(value))
	case float64:
		return n.kind == "number" && n.enum == nil && n.value.has(value)
	case bool:
		return n.kind == "boolean" && n.enum == nil
	}
	return false
}

func (n *shape) allowsObject(object map[string]any) bool {
	if n.enum != nil || !n.size.has(float64(len(object))) {
		return false
	}
	for _, name := range n.required {
		if _, there := object[name]; !there {
			return false
		}
	}
	for name, value := range object {
		if p := n.member(name); p != nil && !p.allows(value) {
			return false
		}
	}
	return true
}

func (n *shape) allowsList(list []any) bool {
	if n.enum != nil || !n.size.has(float64(len(list))) {
		return false
	}
	for i, value := range list {
		if n.items != nil && !n.items.allows(value) || !n.isUnique(value, list[:i]) {
			return false
		}
	}
	return true
}

// fewElements is how many elements of a list are compared with each other.
const fewElements = 16

// isUnique tells that an element of a set or a map is not among those before it.
func (n *shape) isUnique(value any, before []any) bool {
	switch {
	case !n.isSet && n.keys == nil:
		return true
	case len(before) >= fewElements:
		return false
	case n.isSet:
		return isScalar(value) && !slices.ContainsFunc(before, func(other any) bool { return !isScalar(other) || other == value })
	}
	element, _ := value.(map[string]any)
	for _, key := range n.keys {
		if !isScalar(element[key]) {
			return false
		}
	}
	return !slices.ContainsFunc(before, func(other any) bool {
		o, _ := other.(map[string]any)
		return !slices.ContainsFunc(n.keys, func(key string) bool { return o[key] != element[key] })
	})
}

func (n *shape) allowsText(text string) bool {
	return n.size.has(float64(utf8.RuneCountInString(text))) && (n.pattern == nil || n.pattern.MatchString(text)) &&
		(n.enum == nil || slices.Contains(n.enum, text)) && (n.format != "date-time" || strfmt.IsDateTime(text))
}

// hasWithin tells whether is holds for a schema or one within it.
func hasWithin(s *structuralschema.Structural, is func(*structuralschema.Structural) bool) bool {
	if s == nil {
		return false
	}
	if is(s) || hasWithin(s.Items, is) || s.AdditionalProperties != nil && hasWithin(s.AdditionalProperties.Structural, is) {
		return true
	}
	for name := range s.Properties {
		if of := s.Properties[name]; hasWithin(&of, is) {
			return true
		}
	}
	return false
}
