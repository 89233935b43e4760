package registry

import (
	"context"
	"errors"
	"time"

	"gantry/registry/store"
	"gantry/schema"
)

// retryAfter is what a client is asked to wait where etcd does not answer.
const retryAfter = time.Second

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
