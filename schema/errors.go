package schema

import (
	"fmt"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// TruncateErrors bounds a list of errors. Where some are left out, the last one says how many.
func TruncateErrors(errs field.ErrorList) field.ErrorList { return check.Truncate(errs) }

// WrongTypeError is the error of an object of another type than the one it is read as. Its text is what a client of Kubernetes gets.
type WrongTypeError struct{ Got, Want kschema.GroupVersionKind }

func (e *WrongTypeError) Error() string {
	return fmt.Sprintf("no kind %q is registered for version %q in scheme \"pkg/runtime/scheme.go:111\"", e.Got.Kind, e.Got.GroupVersion())
}
