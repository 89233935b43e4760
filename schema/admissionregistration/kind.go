package admissionregistration

import (
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// object is a pointer to an object's type.
type object[T any] interface {
	*T
	schema.Object
}

// definition is what the kinds of the group differ in.
type definition[T any, P object[T]] struct {
	name, plural string
	newList      func() runtime.Object

	columns []metav1.TableColumnDefinition // between the name and the age
	row     func(P) []any

	setDefaults func(P)
	// prepare changes what is written. old is nil for a new object.
	prepare func(t, old P)
	// differ tells whether the generation counts an update.
	differ func(t, old P) bool
	// validate finds what is wrong. old is nil for a new object.
	validate func(t, old P) field.ErrorList
}

func (d definition[T, P]) kind() *schema.Kind {
	return &schema.Kind{
		Version: schema.Version{
			Group: admissionv1.GroupName, Version: "v1", Kind: d.name,
			New: func() schema.Object { return P(new(T)) }, NewList: d.newList,
			Columns: append(append([]metav1.TableColumnDefinition{schema.NameColumn()}, d.columns...), schema.AgeColumn()),
			Row: func(obj schema.Object, now metav1.Time) []any {
				return append(append([]any{obj.GetName()}, d.row(obj.(P))...), schema.Age(obj.GetCreationTimestamp(), now))
			},
			Default: schema.Preparation(d.setDefaults),
		},
		Plural: d.plural, Singular: strings.ToLower(d.name), Categories: []string{"api-extensions"},
		UpdateMeta:    schema.MetaOfCreate,
		Prefix:        d.plural,
		ValidateName:  apivalidation.NameIsDNSSubdomain,
		AnyFinalizers: true,

		PrepareCreate: schema.Preparation(func(t P) {
			t.SetGeneration(1)
			d.prepare(t, nil)
		}),
		PrepareUpdate: schema.UpdatePreparation(func(t, old P) {
			d.prepare(t, old)
			if d.differ(t, old) {
				t.SetGeneration(old.GetGeneration() + 1)
			}
		}),
		Validate:       schema.Validation(func(t P) field.ErrorList { return d.validate(t, nil) }),
		ValidateUpdate: schema.UpdateValidation(d.validate),
		Warnings:       nameWarnings,
	}
}

// asWritten is the prepare of kinds without a status.
func asWritten[T schema.Object](T, T) {}

// staticSuffix ends names that are kept for configurations in files.
const staticSuffix = ".static.k8s.io"

func nameWarnings(obj, _ schema.Object) []string {
	if !strings.HasSuffix(obj.GetName(), staticSuffix) {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: names ending with %q are reserved for static manifest-based configurations and cannot be managed via the API", staticSuffix)}
}

func setIfNil[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
