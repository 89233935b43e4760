package check

import "k8s.io/apimachinery/pkg/util/validation/field"

// The bounds of what is said of one object. Nobody reads more, and every fault may quote a value of the object's size.
const (
	MaxFaults = 500
	maxText   = 256 << 10 // bytes of all but the last that is listed
)

// unlisted is the field of the fault that stands for those that are not listed.
const unlisted = "..."

// more is the fault that stands for n others.
func more(n int) *field.Error {
	return &field.Error{Type: field.ErrorTypeTooMany, Field: unlisted, BadValue: n, Detail: "more faults, which are not listed"}
}

// weight is how many faults one stands for.
func weight(err *field.Error) int {
	if n, ok := err.BadValue.(int); ok && err.Field == unlisted && err.Type == field.ErrorTypeTooMany {
		return n
	}
	return 1
}

// Cut ends a list of faults after MaxFaults, or after maxText bytes of text, with a fault that says how many more there are.
func Cut(list field.ErrorList) field.ErrorList {
	if len(list) == 0 {
		return list
	}
	kept, text, omitted := list[:0:0], 0, 0
	for _, err := range list {
		n := weight(err)
		if n > 1 || err.Field == unlisted || len(kept) == MaxFaults || text > maxText {
			omitted += n
			continue
		}
		kept, text = append(kept, err), text+len(err.Error())
	}
	if omitted > 0 {
		kept = append(kept, more(omitted))
	}
	return kept
}
