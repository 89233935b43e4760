package gateway

import (
	"context"
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// decision is an authorizer's answer.
type decision int

const (
	noOpinion decision = iota // the next authorizer is asked; nobody's opinion is a refusal
	allowed
)

// authorizer decides whether somebody may do something; reason says why not, or why.
type authorizer interface {
	authorize(ctx context.Context, a attributes) (d decision, reason string, err error)
}

// firstOf asks one after another until one allows; the reasons of the others are joined.
type firstOf []authorizer

func (f firstOf) authorize(ctx context.Context, a attributes) (decision, string, error) {
	var reasons []string
	var errs []error
	for _, one := range f {
		d, reason, err := one.authorize(ctx, a)
		if d == allowed {
			return d, reason, nil
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return noOpinion, strings.Join(reasons, "; "), errors.Join(errs...)
}

// require refuses, as Forbidden, what may does not allow.
func require(ctx context.Context, may authorizer, a attributes) error {
	d, reason, err := may.authorize(ctx, a)
	if d == allowed {
		return nil
	}
	return forbidden(a, reason, err)
}

// forbidden words a refusal.
func forbidden(a attributes, reason string, err error) error {
	text := a.refusal()
	switch {
	case err != nil:
		text += ": " + err.Error()
	case reason != "":
		text += ": " + reason
	}
	var gr kschema.GroupResource
	if a.resource {
		gr = kschema.GroupResource{Group: a.group, Resource: a.plural}
	}
	return apierrors.NewForbidden(gr, a.name, errors.New(text))
}
