package controller

import (
	"errors"
	"slices"

	"gantry/registry"
	"gantry/schema"
)

// Kinds are the kinds that a row declares; the zero value is none.
type Kinds struct {
	every bool
	some  []*schema.Kind
}

// Only are the kinds named.
func Only(kinds ...*schema.Kind) Kinds { return Kinds{some: kinds} }

// Every is every kind that is served, also those that come later.
func Every() Kinds { return Kinds{every: true} }

// Has returns whether k is declared.
func (k Kinds) Has(kind *schema.Kind) bool { return k.every || slices.Contains(k.some, kind) }

// None returns whether no kind is declared.
func (k Kinds) None() bool { return !k.every && len(k.some) == 0 }

// NotServed returns whether a read or write failed because its kind is not served, or not any more. It says nothing about objects.
func NotServed(err error) bool {
	var e *registry.Error
	return errors.Is(err, registry.NotFound) && errors.As(err, &e) && e.Name == ""
}
