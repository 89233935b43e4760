package store

import "time"

// ErrorKind is the closed list of what can go wrong. It is an error itself, for errors.Is.
type ErrorKind string

// The kinds of error of a Store. Package registry has these and more.
const (
	NotFound        ErrorKind = "not found"         // the lease of a put has run out
	Conflict        ErrorKind = "conflict"          // the writer may not write any more
	Expired         ErrorKind = "expired"           // the revision is compacted
	BadRequest      ErrorKind = "bad request"       // an argument that no store takes
	Forbidden       ErrorKind = "forbidden"         // etcd's role does not allow it
	TooManyRequests ErrorKind = "too many requests" // etcd is behind
	TooLarge        ErrorKind = "too large"         // etcd takes no request of that size
	Unavailable     ErrorKind = "unavailable"       // etcd is away, out of space or not so far yet
	Timeout         ErrorKind = "timeout"           // no answer in time
)

func (k ErrorKind) Error() string { return string(k) }

// Error is every error of a Store.
type Error struct {
	Kind ErrorKind
	// Reason is the text; "" leaves it to Kind and Cause.
	Reason string
	// RetryAfter asks the caller to wait; 0 says nothing.
	RetryAfter time.Duration
	// UnknownOutcome tells that the write may have happened.
	UnknownOutcome bool
	// Cause is the error below.
	Cause error
}

func (e *Error) Error() string {
	switch {
	case e.Reason != "":
		return string(e.Kind) + ": " + e.Reason
	case e.Cause != nil:
		return string(e.Kind) + ": " + e.Cause.Error()
	}
	return string(e.Kind)
}

// Is matches an ErrorKind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap is the error below.
func (e *Error) Unwrap() error { return e.Cause }
