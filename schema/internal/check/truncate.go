package check

import "k8s.io/apimachinery/pkg/util/validation/field"

// The bounds of the errors of one object: every error may quote a value of the object's size.
const (
	MaxErrors = 500
	maxText   = 256 << 10 // bytes of all but the last that is listed
)

// unlisted is the field of the error that stands for those that are not listed.
const unlisted = "..."

// more is the error that stands for n others.
func more(n int) *field.Error {
	return &field.Error{Type: field.ErrorTypeTooMany, Field: unlisted, BadValue: n, Detail: "more errors, which are not listed"}
}

// weight is how many errors one stands for.
func weight(err *field.Error) int {
	if n, ok := err.BadValue.(int); ok && err.Field == unlisted && err.Type == field.ErrorTypeTooMany {
		return n
	}
	return 1
}

// Truncate returns the first errors of a list, up to MaxErrors and maxText bytes of text, and one that says how many more there are.
func Truncate(list field.ErrorList) field.ErrorList {
	if len(list) == 0 {
		return list
	}
	kept, text, omitted := list[:0:0], 0, 0
	for _, err := range list {
		n := weight(err)
		if n > 1 || err.Field == unlisted || len(kept) == MaxErrors || text > maxText {
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
