package schema

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// TruncateErrors bounds a list of errors. Where some are left out, the last one says how many.
func TruncateErrors(errs field.ErrorList) field.ErrorList { return check.Truncate(errs) }
