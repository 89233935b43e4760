package patch

import (
	"errors"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// The kinds of errors of a patch, with their HTTP status.
var (
	ErrUnsupported = errors.New("unsupported patch type")            // 415
	ErrMalformed   = errors.New("malformed patch")                   // 400: it is no patch at all
	ErrRefused     = errors.New("refused patch")                     // 400: it is not of the form that its type has
	ErrUnknown     = errors.New("unknown directive")                 // 500: also a merge key that is missing
	ErrConflict    = errors.New("patch does not fit the object")     // 422: a test failed, a path is absent
	ErrTooLarge    = errors.New("patch or patched object too large") // 413
)

// Error is every error of this package. Its text is the cause's alone, as Kubernetes words it.
type Error struct {
	// Kind is one of the Err values.
	Kind error
	// Cause is what is wrong.
	Cause error
}

func failure(kind, cause error) error { return &Error{kind, cause} }

func (e *Error) Error() string { return e.Cause.Error() }

// Is matches the Kind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Cause }

// IsTest tells whether an error is that of a JSON patch's test that does not hold.
func IsTest(err error) bool { return errors.Is(err, jsonpatch.ErrTestFailed) }
