package registry

import (
	"context"
	"log/slog"
	"net/netip"

	"gantry/registry/store"
	"gantry/schema"
)

// Config is what a Registry needs.
type Config struct {
	// Store holds the keys.
	Store store.Store
	// Kinds are the kinds served; kinds.New().
	Kinds *schema.Kinds
	// Node, when set, makes pods be read from this node's by-node range alone, as a node's agents may.
	Node string
	// ServiceCIDR is the range of cluster IPs, given out in a Service's own transaction. Not valid: Services are
	// refused.
	ServiceCIDR netip.Prefix
	// NodePorts is the range of node ports, [lo, hi]; the zero value is 30000-32767.
	NodePorts [2]int
	// Agent names who writes, in logs and events: "gateway", "scheduler".
	Agent string
	// Log defaults to slog.Default().
	Log *slog.Logger
	// Quarantine makes this process write down values that cannot be read at /gantry/quarantine/ and keep
	// /gantry/version; only a control-plane process may.
	Quarantine bool
	// OnBad, when set, is called for every value that cannot be read, once a revision, with its kind, namespace and
	// name; it must not block.
	OnBad func(k *schema.Kind, namespace, name string, err error)
}

// Item is one object as the cache holds it: final bytes and what selectors look at. Shared, read-only.
type Item struct {
	Kind            *schema.Kind
	Namespace, Name string
	// Revision is metadata.resourceVersion.
	Revision int64
	// JSON is the object with resourceVersion spliced in.
	JSON []byte
	item // decoded form, labels, fields: unexported, see item.go
}

// ListOptions are those of Kubernetes' API concepts page; the zero value is a consistent list of everything.
type ListOptions struct {
	ResourceVersion      string // "": consistent; "0": the cache as it is; N: see Match
	ResourceVersionMatch string // "", "Exact", "NotOlderThan"
	Limit                int64
	Continue             string
	Labels               string // selector text, "app=web,tier!=db"
	Fields               string // selector text, "spec.nodeName=n1"
}

// List is a page of items in key order.
type List struct {
	Items []*Item
	// Revision is the list's resourceVersion.
	Revision int64
	// Continue is the next page's token, "" on the last page.
	Continue string
	// Whole tells that Items are all there is between the first and the last: nothing was selected.
	Whole bool
	// Remaining is how many items follow this page; nil where it is not known (a selector is given).
	Remaining *int64
}

// WatchOptions are those of Kubernetes' API concepts page.
type WatchOptions struct {
	ResourceVersion      string
	ResourceVersionMatch string
	Labels, Fields       string
	Bookmarks            bool // allowWatchBookmarks
	SendInitialEvents    *bool
}

// Event is one change as a watcher sees it.
type Event struct {
	Type EventType
	// Item is the object. Deleted: its last state with the deletion's revision in Revision and JSON.
	// Bookmark: nil.
	Item *Item
	// Revision is the change's, or the bookmark's.
	Revision int64
	// InitialEnd marks the bookmark that ends the initial events.
	InitialEnd bool
}

// EventType is a watch event's type as on the wire.
type EventType string

// The types of event. An error is not an event here: Watcher.Next returns it.
const (
	Added    EventType = "ADDED"
	Modified EventType = "MODIFIED"
	Deleted  EventType = "DELETED"
	Bookmark EventType = "BOOKMARK"
)

// Change is one step of Follow: Old nil: the object is new; New nil: it is gone.
type Change struct{ Old, New *Item }

// WriteOptions steer a create, update or modify.
type WriteOptions struct {
	// Subresource is "", "status", or one of the kind's own ("resize" of pods).
	Subresource string
	// DryRun does everything but store.
	DryRun bool
	// UID and ResourceVersion, when set, must match the stored object: else Conflict.
	UID, ResourceVersion string
	// Decoded tells that the object was read from JSON and its owner is done with it: the result may hold it as its
	// decoded form. (An object made in Go may differ from what is read again, in parts of a second, say.)
	Decoded bool
	// Warn, where set, is called with what is valid in the object and yet probably a mistake (Kind.Warnings), before it is
	// stored, and again when that is repeated.
	Warn func(texts []string)
	// Create, where set, is called before an update creates the object (Kind.CreateOnUpdate); its error becomes the update's.
	Create func() error
}

// warn calls o.Warn for an object that is to replace old (nil: nothing).
func (o WriteOptions) warn(k *schema.Kind, obj, old schema.Object) {
	if o.Warn != nil && o.Subresource == "" && k.Warnings != nil {
		o.Warn(k.Warnings(obj, old))
	}
}

// DeleteOptions steer a delete.
type DeleteOptions struct {
	DryRun               bool
	GracePeriodSeconds   *int64
	UID, ResourceVersion string // preconditions
	Propagation          string // "", "Orphan", "Background", "Foreground"
}

// API is access to one object at a time. *Registry implements it, and remote.Client does through a gateway; the suite in apitest runs
// on both.
type API interface {
	Get(ctx context.Context, k *schema.Kind, namespace, name string, resourceVersion string) (*Item, error)
	Create(ctx context.Context, k *schema.Kind, obj schema.Object, o WriteOptions) (*Item, error)
	Update(ctx context.Context, k *schema.Kind, obj schema.Object, o WriteOptions) (*Item, error)
	Modify(ctx context.Context, k *schema.Kind, namespace, name string, change func(current schema.Object) (schema.Object, error), o WriteOptions) (*Item, error)
	Delete(ctx context.Context, k *schema.Kind, namespace, name string, o DeleteOptions) (item *Item, gone bool, err error)
}

var _ API = (*Registry)(nil)
