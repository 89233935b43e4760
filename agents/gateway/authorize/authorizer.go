package authorize

import (
	"context"
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// Decision is an authorizer's answer.
type Decision int

const (
	NoOpinion Decision = iota // the next authorizer is asked; nobody's opinion is a refusal
	Allowed
)

// Authorizer decides whether somebody may do something; reason says why not, or why.
type Authorizer interface {
	Authorize(ctx context.Context, a Attributes) (d Decision, reason string, err error)
}

// Chain asks one after another until one allows; the reasons of the others are joined.
type Chain []Authorizer

func (f Chain) Authorize(ctx context.Context, a Attributes) (Decision, string, error) {
	var reasons []string
	var errs []error
	for _, one := range f {
		d, reason, err := one.Authorize(ctx, a)
		if d == Allowed {
			return d, reason, nil
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return NoOpinion, strings.Join(reasons, "; "), errors.Join(errs...)
}

// Require refuses, as Forbidden, what may does not allow.
func Require(ctx context.Context, may Authorizer, a Attributes) error {
	d, reason, err := may.Authorize(ctx, a)
	if d == Allowed {
		return nil
	}
	return forbidden(a, reason, err)
}

// forbidden words a refusal.
func forbidden(a Attributes, reason string, err error) error {
	text := a.refusal()
	switch {
	case err != nil:
		text += ": " + err.Error()
	case reason != "":
		text += ": " + reason
	}
	var gr kschema.GroupResource
	if a.IsResource {
		gr = kschema.GroupResource{Group: a.Group, Resource: a.Plural}
	}
	return apierrors.NewForbidden(gr, a.Name, errors.New(text))
}
