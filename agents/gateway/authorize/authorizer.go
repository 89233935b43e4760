package authorize

import (
	"context"
	"errors"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/registry"
)

// Decision is an authorizer's answer.
type Decision int

const (
	NoOpinion Decision = iota // the next authorizer is asked; what none allows is refused
	Allowed
)

// Authorizer answers two questions about users. Each is one file, and one row in New.
type Authorizer interface {
	// Authorize decides whether a user may do something; reason says why not, or why. An error is why it cannot be decided.
	Authorize(ctx context.Context, a Attributes) (d Decision, reason string, err error)
	// Rules lists what a user may do in a namespace, of cluster-scoped resources and of paths. What cannot be listed makes the
	// rules incomplete; an error is for the user to know, beside what is listed.
	Rules(ctx context.Context, user authenticationv1.UserInfo, namespace string) (Rules, error)
}

// New is the authorizers in the order in which they are asked: those that work with an empty etcd, and then roles.
func New(reg *registry.Registry, roles Authorizer) Chain {
	return Chain{
		masters,    // masters.go
		health,     // health.go
		&Node{reg}, // node.go
		roles,      // package rbac
	}
}

// Chain asks one authorizer after another until one allows; the reasons of the others are joined by lines, as Kubernetes does.
type Chain []Authorizer

// Authorize allows what one of the chain allows.
func (c Chain) Authorize(ctx context.Context, a Attributes) (Decision, string, error) {
	var reasons []string
	var errs []error
	for _, one := range c {
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
	return NoOpinion, strings.Join(reasons, "\n"), errors.Join(errs...)
}

// Rules are those of all of the chain. One that returns an error adds what it lists all the same.
func (c Chain) Rules(ctx context.Context, user authenticationv1.UserInfo, namespace string) (all Rules, err error) {
	var errs []error
	for _, one := range c {
		r, err := one.Rules(ctx, user, namespace)
		if err != nil {
			errs = append(errs, err)
		}
		all.Resources = append(all.Resources, r.Resources...)
		all.Paths = append(all.Paths, r.Paths...)
		all.Incomplete = all.Incomplete || r.Incomplete
	}
	return all, errors.Join(errs...)
}

// Require refuses, as Forbidden, what auth does not allow.
func Require(ctx context.Context, auth Authorizer, a Attributes) error {
	d, reason, err := auth.Authorize(ctx, a)
	if d == Allowed {
		return nil
	}
	return forbidden(a, reason, err)
}

// Forbidden is a refusal for a reason that no authorizer has.
func Forbidden(a Attributes, reason string) error { return forbidden(a, reason, nil) }

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
