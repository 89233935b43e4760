package admit

import (
	"context"

	"gantry/schema"
)

// Reader reads what rules decide on, for one request. Objects are shared and read-only.
type Reader interface {
	// Serves tells whether there are such objects at all.
	Serves(group, plural string) bool
	// Find returns an object; it may be an earlier state. Where there is none, or no such kind is served, Object is nil.
	Find(ctx context.Context, group, plural, namespace, name string) (Found, error)
	// Latest is Find that asks the store.
	Latest(ctx context.Context, group, plural, namespace, name string) (Found, error)
	// List returns the objects of a namespace, or all ("") of a kind, in the order of their names; it may be an earlier state.
	List(ctx context.Context, group, plural, namespace string) ([]schema.Object, error)
	// Get returns what a key of the rule's own has; it may be an earlier state.
	Get(ctx context.Context, key Key) (KV, error)
	// Refresh makes Get ask the store from here on. It tells whether something that Get returned could be an earlier state.
	Refresh() bool
}

// Found is what there is of an object's name.
type Found struct {
	Object   schema.Object // nil: nothing
	Kind     *schema.Kind  // nil: no such kind is served
	Key      string
	Revision int64 // 0: nothing
}

// KV is a key of a rule's own with its value.
type KV struct {
	Key      Key
	Value    []byte // read-only
	Revision int64  // 0: there is none
}
