package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/store"
	"gantry/schema"
)

// ErrorKind is the closed list of what can go wrong. It is an error itself, for errors.Is. Those of a Store are the registry's as well:
// errors.Is(err, registry.Expired) holds for errors of both.
type ErrorKind = store.ErrorKind

// The kinds of error, and the HTTP status the gateway gives them.
const (
	NotFound                  = store.NotFound        // 404
	Exists          ErrorKind = "already exists"      // 409 AlreadyExists
	Conflict                  = store.Conflict        // 409 Conflict: a resourceVersion, uid or precondition does not match
	Expired                   = store.Expired         // 410: the revision is compacted or the watcher lagged too far
	BadRequest                = store.BadRequest      // 400: an option that cannot be understood
	Invalid         ErrorKind = "invalid"             // 422: Fields names every error
	Forbidden                 = store.Forbidden       // 403
	NotAllowed      ErrorKind = "not allowed"         // 405: the kind's objects are not created now
	TooManyRequests           = store.TooManyRequests // 429
	TooLarge                  = store.TooLarge        // 413
	Unavailable               = store.Unavailable     // 503: etcd is away or out of space
	Timeout                   = store.Timeout         // 504: also a write whose outcome is unknown
	BadRevision     ErrorKind = "bad revision"        // 500: a resourceVersion that is no number, or one on a create
	Unreadable      ErrorKind = "unreadable"          // 500: the stored value is under quarantine
	Replaced        ErrorKind = "replaced"            // 429: the kind has just been defined anew; ask for it again
	Misconfigured   ErrorKind = "misconfigured"       // 500: other objects leave the request without an answer
)

// Error is every error of this package.
type Error struct {
	Kind ErrorKind
	// Group, Resource and Name say what it is about; Name may be empty.
	Group, Resource, Name string
	// KindName is the object's kind ("Pod"), which Kubernetes' texts for Invalid use.
	KindName string
	// Fields are the errors of an Invalid object, as many as schema.TruncateErrors leaves.
	Fields field.ErrorList
	// Causes go into the Status' details as they are, before those of Fields.
	Causes []metav1.StatusCause
	// Reason is the text; it is complete in itself where Kubernetes has a text for it.
	Reason string
	// RetryAfter asks the client to wait; 0 says nothing.
	RetryAfter time.Duration
	// Continue is a fresh token for a list that Expired and can go on inconsistently.
	Continue string
	// UnknownOutcome tells that the write may have happened.
	UnknownOutcome bool
	// Cause is the error below.
	Cause error
}

func (e *Error) Error() string {
	what := e.Resource
	if e.Name != "" {
		what += fmt.Sprintf(" %q", e.Name)
	}
	text := e.Reason
	if text == "" && len(e.Fields) > 0 {
		text = e.Fields.ToAggregate().Error()
	}
	switch {
	case text == "" && e.Cause != nil:
		return fmt.Sprintf("%s %s: %v", what, e.Kind, e.Cause)
	case text == "":
		return fmt.Sprintf("%s %s", what, e.Kind)
	}
	return fmt.Sprintf("%s %s: %s", what, e.Kind, text)
}

// Is matches an ErrorKind.
func (e *Error) Is(target error) bool { return target == e.Kind }

// Unwrap is the error below.
func (e *Error) Unwrap() error { return e.Cause }

var errEnded = &Error{Kind: Unavailable, Reason: "the registry is shutting down"}

// ctxError is the error of a call whose ctx is done.
func ctxError(ctx context.Context) error {
	err := ctx.Err()
	reason := "the request was cancelled"
	if errors.Is(err, context.DeadlineExceeded) {
		reason = "the request did not complete within its timeout"
	}
	return &Error{Kind: Timeout, Reason: reason, Cause: err}
}

// about names what an error is about where that is not said yet. A store's error becomes one of this package.
func about(k *schema.Kind, name string, err error) error {
	err = fromStore(err)
	var e *Error
	if !errors.As(err, &e) || e.Resource != "" {
		return err
	}
	named := *e
	named.Group, named.Resource, named.KindName, named.Name = k.Group, k.Plural, k.Kind, name
	return &named
}

// fromStore makes a store's error one of this package; any other stays as it is.
func fromStore(err error) error {
	var known *Error
	var e *store.Error
	if errors.As(err, &known) || !errors.As(err, &e) {
		return err
	}
	return &Error{Kind: e.Kind, Reason: e.Reason, RetryAfter: e.RetryAfter, UnknownOutcome: e.UnknownOutcome, Cause: e.Cause}
}

func notFound(k *schema.Kind, name string) error {
	return &Error{Kind: NotFound, Group: k.Group, Resource: k.Plural, KindName: k.Kind, Name: name}
}

func badRequest(k *schema.Kind, reason string) error {
	return &Error{Kind: BadRequest, Group: k.Group, Resource: k.Plural, KindName: k.Kind, Reason: reason}
}

// newError is an error about an object of k. The reason is complete in itself; "" leaves the text to the kind of error.
func newError(k *schema.Kind, name string, kind ErrorKind, reason string, args ...any) *Error {
	if len(args) > 0 {
		reason = fmt.Sprintf(reason, args...)
	}
	return &Error{Kind: kind, Group: k.Group, Resource: k.Plural, Name: name, KindName: k.Kind, Reason: reason}
}

// modified is the reason of a conflict with another writer.
const modified = "the object has been modified; please apply your changes to the latest version and try again"
