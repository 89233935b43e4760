package admit

import (
	"context"
	"slices"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// Rule is one rule. A nil function does nothing.
type Rule struct {
	Name string // as Kubernetes names it
	Doc  string // one line
	// Within is a resource of the core group: the rule concerns only namespaces that have an object of it, and costs the others nothing. "": all.
	Within string
	// Uses is a resource without namespaces: the rule concerns only clusters that have an object of it, and costs the others nothing. Empty: all.
	Uses kschema.GroupResource
	// Wants tells whether the rule concerns an operation on a kind or a subresource of it; nil: it concerns all.
	Wants func(o Operation, k *schema.Kind, subresource string) bool
	// Mutate may change the object, Validate may not.
	Mutate, Validate Func
}

// Func is a rule in one phase. It returns *Denied, *Missing, *Invalid, *TooMany or *Misconfigured to refuse the write, any other error where it cannot decide, and nil to
// allow it.
type Func func(ctx context.Context, read Reader, q *Request) error

// Rules are rules in the order they run in.
type Rules []Rule

// Before is the rules with others before the one of a name, or at the end where there is none of it.
func (rs Rules) Before(name string, others ...Rule) Rules {
	i := slices.IndexFunc(rs, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		i = len(rs)
	}
	return slices.Insert(slices.Clone(rs), i, others...)
}

// Named is the rule of a name, the zero value where there is none.
func (rs Rules) Named(name string) Rule {
	if i := slices.IndexFunc(rs, func(r Rule) bool { return r.Name == name }); i >= 0 {
		return rs[i]
	}
	return Rule{}
}

// Want tells whether any rule concerns an operation on a kind or a subresource of it in a namespace; has is Reader's Has.
func (rs Rules) Want(o Operation, k *schema.Kind, subresource, namespace string, has func(group, plural, namespace string) bool) bool {
	for i := range rs {
		if rs[i].wants(o, k, subresource) && rs[i].concerns(namespace, has) {
			return true
		}
	}
	return false
}

// Mutate runs the first phase; once more where a rule has asked for it.
func (rs Rules) Mutate(ctx context.Context, read Reader, q *Request) error {
	q.again, q.Repeated = false, false
	if err := rs.run(ctx, read, q, mutating); err != nil || !q.again {
		return err
	}
	q.Repeated = true
	return rs.run(ctx, read, q, mutating)
}

// Validate runs the second phase.
func (rs Rules) Validate(ctx context.Context, read Reader, q *Request) error {
	return rs.run(ctx, read, q, validating)
}

func (rs Rules) run(ctx context.Context, read Reader, q *Request, p phase) error {
	for i := range rs {
		c := ruleCall{&rs[i], p}
		if c.function() == nil || !rs[i].wants(q.Operation, q.Kind, q.Subresource) || !rs[i].concerns(q.Namespace, read.Has) {
			continue
		}
		if err := c.run(ctx, read, q); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rule) wants(o Operation, k *schema.Kind, subresource string) bool {
	return r.Wants == nil || r.Wants(o, k, subresource)
}

// concerns tells whether there is what Within and Uses ask for.
func (r *Rule) concerns(namespace string, has func(group, plural, namespace string) bool) bool {
	return (r.Within == "" || has("", r.Within, namespace)) && (r.Uses.Resource == "" || has(r.Uses.Group, r.Uses.Resource, ""))
}

// Resource is the Wants of a rule on a resource of the core group itself.
func Resource(plural string, operations ...Operation) func(Operation, *schema.Kind, string) bool {
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

// ruleCall is a rule in one phase.
type ruleCall struct {
	rule  *Rule
	phase phase
}

func (c ruleCall) function() Func {
	if c.phase == validating {
		return c.rule.Validate
	}
	return c.rule.Mutate
}

// run calls the rule's function. Where that refuses by keys whose state may be old, it is called again on the store's state.
func (c ruleCall) run(ctx context.Context, read Reader, q *Request) error {
	q.running = c
	err := c.function()(ctx, read, q)
	if err == nil || !read.Refresh() {
		return err
	}
	q.dropCompanions(c)
	return c.function()(ctx, read, q)
}
