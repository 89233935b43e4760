package registry

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"gantry/schema"
)

// selector is what a read asks for: a namespace, a name, labels, fields.
type selector struct {
	namespace string // "": all
	name      string // "": all; of a field selector metadata.name=
	labels    labels.Selector
	fields    fields.Selector
	all       bool // nothing is selected but by the namespace
	// matchesNothing: no item can match, as when metadata.namespace= names another namespace.
	matchesNothing bool
}

// parseSelector reads selector texts; BadRequest where one cannot be understood. v is the version that names the fields; nil: the
// stored one.
func parseSelector(k *schema.Kind, v *schema.Version, namespace, labelText, fieldText string) (selector, error) {
	if v == nil {
		v = k.Stored()
	}
	if !k.Namespaced {
		namespace = ""
	}
	s := selector{namespace: namespace, labels: labels.Everything(), fields: fields.Everything(), all: labelText == "" && fieldText == ""}
	if s.all {
		return s, nil
	}
	var err error
	if s.labels, err = labels.Parse(labelText); err != nil {
		return s, badRequest(k, fmt.Sprintf("unable to parse requirement: %v", err))
	}
	if s.fields, err = fields.ParseSelector(fieldText); err != nil {
		return s, badRequest(k, err.Error())
	}
	if err := s.checkFields(k, v); err != nil {
		return s, err
	}
	if s.fields, err = storedFields(s.fields, v); err != nil {
		return s, badRequest(k, err.Error())
	}
	s.simplify(k)
	return s, nil
}

func (s *selector) checkFields(k *schema.Kind, v *schema.Version) error {
	for _, req := range s.fields.Requirements() {
		known := slices.ContainsFunc(v.Fields, func(f schema.Field) bool { return f.Path == req.Field })
		if known || req.Field == "metadata.name" || (req.Field == "metadata.namespace" && k.Namespaced) {
			continue
		}
		if len(v.Fields) > 0 {
			return badRequest(k, fmt.Sprintf("field label not supported: %s", req.Field))
		}
		return badRequest(k, fmt.Sprintf("%q is not a known field selector: only %q, %q", req.Field, "metadata.name", "metadata.namespace"))
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
func (s *selector) simplify(k *schema.Kind) {
	if name, ok := s.fields.RequiresExactMatch("metadata.name"); ok {
		s.name = name
	}
	if namespace, ok := s.fields.RequiresExactMatch("metadata.namespace"); ok && k.Namespaced {
		s.matchesNothing = s.namespace != "" && s.namespace != namespace
		s.namespace = namespace
	}
}

// matches tells whether an item is selected.
func (s *selector) matches(it *Item) bool {
	if s.namespace != "" && it.Namespace != s.namespace {
		return false
	}
	if s.all {
		return true
	}
	if s.matchesNothing || s.name != "" && it.Name != s.name {
		return false
	}
	return s.labels.Matches(it.labels()) && s.fields.Matches(itemFields{it})
}

// itemFields is an item as a field selector sees it.
type itemFields struct{ it *Item }

// Has tells whether the field is there.
func (f itemFields) Has(field string) bool {
	_, known := f.it.field(field)
	return known || field == "metadata.name" || field == "metadata.namespace"
}

// Get returns the field's value.
func (f itemFields) Get(field string) string {
	switch field {
	case "metadata.name":
		return f.it.Name
	case "metadata.namespace":
		return f.it.Namespace
	}
	return f.it.Field(field)
}

// exact returns a term of an index and a value that every selected item has under it.
func (s *selector) exact() (term, value string, ok bool) {
	for _, req := range s.fields.Requirements() {
		if req.Operator == selection.Equals && req.Field != "metadata.name" && req.Field != "metadata.namespace" {
			return fieldTerm + req.Field, req.Value, true
		}
	}
	reqs, _ := s.labels.Requirements()
	for _, req := range reqs {
		if op := req.Operator(); op != selection.Equals && op != selection.DoubleEquals && op != selection.In {
			continue
		}
		if values := req.ValuesUnsorted(); len(values) == 1 {
			return labelTerm + req.Key(), values[0], true
		}
	}
	return "", "", false
}
