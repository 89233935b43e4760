// Package checktest runs tables of objects with the errors that a kind finds in them.
package checktest

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// Case is a change of a valid object, and the errors that it makes.
type Case[T any] = struct {
	Name string
	In   func(T) // nil: no change
	Want []string
}

// Texts are errors as clients see them.
func Texts(errs field.ErrorList) (list []string) {
	for _, e := range errs {
		list = append(list, e.Error())
	}
	return list
}

// Create validates base(), defaulted, changed by each case and defaulted again, as a new object.
func Create[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases []Case[T]) {
	t.Helper()
	run(t, k, base, cases, func(obj, _ schema.Object) field.ErrorList { return k.Validate(obj) })
}

// Update validates base(), defaulted, changed by each case and defaulted again, in the place of base().
func Update[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases []Case[T]) {
	t.Helper()
	run(t, k, base, cases, k.ValidateUpdate)
}

// Part is Update by a subresource.
func Part[T schema.Object](t *testing.T, k *schema.Kind, subresource string, base func() T, cases []Case[T]) {
	t.Helper()
	run(t, k, base, cases, k.Subresource(subresource).Validate)
}

func run[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases []Case[T], validate func(obj, old schema.Object) field.ErrorList) {
	t.Helper()
	fill := func(obj T) {
		if k.Default != nil {
			k.Default(obj)
		}
	}
	defaulted := func(change func(T)) T {
		obj := base()
		fill(obj)
		if change != nil {
			change(obj)
			fill(obj)
		}
		return obj
	}
	for _, tt := range cases {
		t.Run(tt.Name, func(t *testing.T) {
			if got := Texts(validate(defaulted(tt.In), defaulted(nil))); !slices.Equal(got, tt.Want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.Want, "\n\t"))
			}
		})
	}
}
