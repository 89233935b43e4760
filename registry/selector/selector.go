// Package selector reads the selectors of lists and watches, and matches objects with them.
package selector

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"gantry/schema"
)

// Selector is what a read asks for: a namespace, a name, labels, fields.
type Selector struct {
	// Namespace is the only namespace of what is selected; "": all.
	Namespace string
	// All tells that nothing is selected but by the namespace.
	All bool
	// Version, where set, is the version in which the fields are to be read: objects are converted to be selected. nil: the fields are those that
	// the objects have at hand.
	Version *schema.Version

	name   string // "": all; of a field selector metadata.name=
	labels labels.Selector
	fields fields.Selector
	// matchesNothing: no object can match, as when metadata.namespace= names another namespace.
	matchesNothing bool
}

// Object is what a selector compares of an object.
type Object interface {
	Names() (namespace, name string)
	Labels() labels.Labels
	// Field is the value of one of the fields of the object's kind; ok is false where the kind has no such field.
	Field(path string) (value string, ok bool)
}

// Parse reads selector texts; the error is for the client. v is the version that names the fields; nil: the stored one.
func Parse(k *schema.Kind, v *schema.Version, namespace, labelText, fieldText string) (Selector, error) {
	if v == nil {
		v = k.Stored()
	}
	if !k.Namespaced {
		namespace = ""
	}
	s := Selector{Namespace: namespace, labels: labels.Everything(), fields: fields.Everything(), All: labelText == "" && fieldText == ""}
	if s.All {
		return s, nil
	}
	var err error
	if s.labels, err = labels.Parse(labelText); err != nil {
		return s, err // which says what cannot be parsed
	}
	if s.fields, err = fields.ParseSelector(fieldText); err != nil {
		return s, err
	}
	if err := s.checkFields(k, v); err != nil {
		return s, err
	}
	if s.fields, err = storedFields(s.fields, v); err != nil {
		return s, err
	}
	s.simplify(k)
	if k.Rules != nil && (k.AsWritten || v != k.Stored()) && slices.ContainsFunc(s.fields.Requirements(), isOwnField) {
		s.Version = v
	}
	return s, nil
}

// isOwnField tells that a requirement is on a field that not every object has.
func isOwnField(req fields.Requirement) bool {
	return req.Field != "metadata.name" && req.Field != "metadata.namespace"
}

func (s *Selector) checkFields(k *schema.Kind, v *schema.Version) error {
	for _, req := range s.fields.Requirements() {
		known := slices.ContainsFunc(v.Fields, func(f schema.Field) bool { return f.Path == req.Field })
		// Where Kubernetes has no list of a kind's fields, a namespace may be asked for although there is none.
		namespace := req.Field == "metadata.namespace" && (k.Namespaced || len(v.Fields) == 0 && !v.IsUnstructured())
		if known || req.Field == "metadata.name" || namespace {
			continue
		}
		switch {
		case v.UnknownField != "":
			return fmt.Errorf(v.UnknownField, req.Field)
		case len(v.Fields) > 0:
			return fmt.Errorf("field label not supported: %s", req.Field)
		}
		return fmt.Errorf("%q is not a known field selector: only %q, %q", req.Field, "metadata.name", "metadata.namespace")
	}
	return nil
}

// storedFields is a selector of fields of version v as one of the fields of the stored version.
func storedFields(s fields.Selector, v *schema.Version) (fields.Selector, error) {
	if !slices.ContainsFunc(v.Fields, func(f schema.Field) bool { return f.Stored != "" }) {
		return s, nil
	}
	return s.Transform(func(field, value string) (string, string, error) {
		for _, f := range v.Fields {
			if f.Path == field && f.Stored != "" {
				return f.Stored, value, nil
			}
		}
		return field, value, nil
	})
}

// simplify turns requirements on name and namespace into what a look-up by key can do.
func (s *Selector) simplify(k *schema.Kind) {
	if name, ok := s.fields.RequiresExactMatch("metadata.name"); ok {
		s.name = name
	}
	if namespace, ok := s.fields.RequiresExactMatch("metadata.namespace"); ok && k.Namespaced {
		s.matchesNothing = s.Namespace != "" && s.Namespace != namespace
		s.Namespace = namespace
	}
}

// Matches tells whether an object is selected.
func (s *Selector) Matches(obj Object) bool {
	namespace, name := obj.Names()
	if s.Namespace != "" && namespace != s.Namespace {
		return false
	}
	if s.All {
		return true
	}
	if s.matchesNothing || s.name != "" && name != s.name {
		return false
	}
	return s.labels.Matches(obj.Labels()) && s.fields.Matches(objectFields{obj})
}

// objectFields is an object as a field selector sees it.
type objectFields struct{ obj Object }

// Has tells whether the field is there.
func (f objectFields) Has(field string) bool {
	_, known := f.obj.Field(field)
	return known || field == "metadata.name" || field == "metadata.namespace"
}

// Get returns the field's value.
func (f objectFields) Get(field string) string {
	namespace, name := f.obj.Names()
	switch field {
	case "metadata.name":
		return name
	case "metadata.namespace":
		return namespace
	}
	value, _ := f.obj.Field(field)
	return value
}

// The prefixes of terms: "l:app" is the label app, "f:spec.nodeName" the field spec.nodeName.
const (
	LabelTerm = "l:"
	FieldTerm = "f:"
)

// Exact returns a term and the value that every selected object has under it; ok is false where the selector has no such requirement.
func (s *Selector) Exact() (term, value string, ok bool) {
	for _, req := range s.fields.Requirements() {
		if req.Operator == selection.Equals && isOwnField(req) && s.Version == nil {
			return FieldTerm + req.Field, req.Value, true
		}
	}
	reqs, _ := s.labels.Requirements()
	for _, req := range reqs {
		if op := req.Operator(); op != selection.Equals && op != selection.DoubleEquals && op != selection.In {
			continue
		}
		if values := req.ValuesUnsorted(); len(values) == 1 {
			return LabelTerm + req.Key(), values[0], true
		}
	}
	return "", "", false
}
