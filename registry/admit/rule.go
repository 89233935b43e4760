package admit

import (
	"context"
	"slices"

	"gantry/schema"
)

// Rule is one rule. Functions may be nil: then there is nothing to do.
type Rule struct {
	Name string // as Kubernetes names it
	Doc  string // one line
	// Wants tells whether the rule concerns an operation on a kind or a subresource of it; nil: it concerns all.
	Wants func(o Operation, k *schema.Kind, subresource string) bool
	// Mutate may change the object, Validate may not.
	Mutate, Validate Func
}

// Func is a rule in one phase. It returns *Denied, *Missing or *Invalid to refuse, any other error where it could not be decided, nil to
// go on.
type Func func(ctx context.Context, read Reader, q *Request) error

// Rules are rules in the order they run in.
type Rules []Rule

// Want tells whether any rule concerns an operation on a kind or a subresource of it.
func (rs Rules) Want(o Operation, k *schema.Kind, subresource string) bool {
	for i := range rs {
		if rs[i].wants(o, k, subresource) {
			return true
		}
	}
	return false
}

// Mutate runs the first phase.
func (rs Rules) Mutate(ctx context.Context, read Reader, q *Request) error {
	return rs.run(ctx, read, q, mutating)
}

// Validate runs the second phase.
func (rs Rules) Validate(ctx context.Context, read Reader, q *Request) error {
	return rs.run(ctx, read, q, validating)
}

func (rs Rules) run(ctx context.Context, read Reader, q *Request, p phase) error {
	for i := range rs {
		c := call{&rs[i], p}
		if c.function() == nil || !rs[i].wants(q.Operation, q.Kind, q.Subresource) {
			continue
		}
		if err := c.ask(ctx, read, q); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rule) wants(o Operation, k *schema.Kind, subresource string) bool {
	return r.Wants == nil || r.Wants(o, k, subresource)
}

// resource is the Wants of a rule on a resource of the core group itself.
func resource(plural string, operations ...Operation) func(Operation, *schema.Kind, string) bool {
	return resourceOf("", plural, operations...)
}

// resourceOf is the Wants of a rule on a resource of a group itself.
func resourceOf(group, plural string, operations ...Operation) func(Operation, *schema.Kind, string) bool {
	return func(o Operation, k *schema.Kind, subresource string) bool {
		return subresource == "" && k.Plural == plural && k.Group == group && slices.Contains(operations, o)
	}
}

type phase uint8

const (
	mutating phase = iota
	validating
)

// call is a rule in one phase.
type call struct {
	rule  *Rule
	phase phase
}

func (c call) function() Func {
	if c.phase == validating {
		return c.rule.Validate
	}
	return c.rule.Mutate
}

// ask runs the rule. A refusal that stands on keys whose state may be old is decided again on the store's.
func (c call) ask(ctx context.Context, read Reader, q *Request) error {
	q.asked = c
	err := c.function()(ctx, read, q)
	if err == nil || !read.Refresh() {
		return err
	}
	q.dropCompanions(c)
	return c.function()(ctx, read, q)
}
