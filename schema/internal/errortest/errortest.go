// Package errortest runs tables of objects and the errors that their kind finds in them.
package errortest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// Cases are changes of an object, nil for none, and the texts of the errors of what they make.
type Cases[T any] = []struct {
	Name string
	In   func(T)
	Want []string
}

// Create validates new objects: base(), changed and defaulted.
func Create[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases Cases[T]) {
	t.Helper()
	run(t, k, base, cases, func(obj, _ T) field.ErrorList { return k.Validate(obj) })
}

// Update validates base(), changed and defaulted, replacing base().
func Update[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases Cases[T]) {
	t.Helper()
	run(t, k, base, cases, func(obj, old T) field.ErrorList { return k.ValidateUpdate(obj, old) })
}

// Status is Update by the status subresource.
func Status[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases Cases[T]) {
	t.Helper()
	run(t, k, base, cases, func(obj, old T) field.ErrorList { return k.Subresource("status").Validate(obj, old) })
}

func run[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases Cases[T], validate func(obj, old T) field.ErrorList) {
	for _, tt := range cases {
		t.Run(tt.Name, func(t *testing.T) {
			obj, old := base(), base()
			if tt.In != nil {
				tt.In(obj)
			}
			if k.Default != nil {
				k.Default(obj)
				k.Default(old)
			}
			var got []string
			for _, err := range validate(obj, old) {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(tt.Want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}
