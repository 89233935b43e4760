package schema

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// CutFaults ends a list of faults that is longer than anybody reads. The last one then says how many more there are.
func CutFaults(faults field.ErrorList) field.ErrorList { return check.Cut(faults) }
