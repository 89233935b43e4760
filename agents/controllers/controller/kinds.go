package controller

import (
	"slices"

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

// Has tells whether k is declared.
func (k Kinds) Has(kind *schema.Kind) bool { return k.every || slices.Contains(k.some, kind) }

// None tells that no kind is declared.
func (k Kinds) None() bool { return !k.every && len(k.some) == 0 }
