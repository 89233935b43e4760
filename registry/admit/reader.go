package admit

import (
	"context"

	"gantry/schema"
)

// Reader reads objects and keys for the rules of one request. Objects are shared and read-only.
type Reader interface {
	// Serves tells whether a kind is served.
	Serves(group, plural string) bool
	// KindOf is a kind by the apiVersion and kind of one of its versions; nil where it is not served.
	KindOf(apiVersion, kind string) *schema.Kind
	// Has tells whether a namespace, or the cluster (""), has an object of a resource, as far as is known; it costs next to nothing where it has none.
	Has(group, plural, namespace string) bool
	// Find returns an object; its state may be old. Where it does not exist, or its kind is not served, Object is nil.
	Find(ctx context.Context, group, plural, namespace, name string) (Found, error)
	// Latest is Find with the store's state.
	Latest(ctx context.Context, group, plural, namespace, name string) (Found, error)
	// List returns the objects of a namespace, or all ("") of a kind, in the order of their names; the state may be old.
	List(ctx context.Context, group, plural, namespace string) ([]schema.Object, error)
	// ListLatest is List with the store's state.
	ListLatest(ctx context.Context, group, plural, namespace string) ([]schema.Object, error)
	// Get returns the value of one of the rule's keys; its state may be old.
	Get(ctx context.Context, key Key) (KV, error)
	// Refresh makes Get read the store from now on. It returns whether a state that Get returned before could be old.
	Refresh() bool
}

// Found is the result of looking up an object by its name.
type Found struct {
	Object   schema.Object // nil: it does not exist
	Kind     *schema.Kind  // nil: the kind is not served
	Key      string
	Revision int64 // 0: it does not exist
}

// KV is one of a rule's keys with its value.
type KV struct {
	Key      Key
	Value    []byte // read-only
	Revision int64  // 0: the key does not exist
}
