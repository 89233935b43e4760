package registry

import (
	"context"
	"log/slog"
	"net/netip"

	"gantry/registry/admit"
	"gantry/registry/admit/webhooks"
	"gantry/registry/store"
	"gantry/schema"
)

// Config is what a Registry needs.
type Config struct {
	// Store holds the keys.
	Store store.Store
	// Kinds are the kinds served; kinds.New().
	Kinds *schema.Kinds
	// Node, when set, restricts reads of pods to this node's by-node range, as etcd's role of a node's agents does.
	Node string
	// ServiceCIDRs are the ranges of cluster IPs, given out in a Service's own transaction: one, or one of each address family, the primary
	// one first. Ready ServiceCIDR objects add to them. None: Services are refused.
	ServiceCIDRs []netip.Prefix
	// NodePorts is the range of node ports, [lo, hi]; the zero value is 30000-32767.
	NodePorts [2]int
	// Agent names this process in logs and events, and as the user of writes without WithUser: "gateway", "scheduler".
	Agent string
	// Admission are the rules of admission; nil: plugins.Default with Webhooks.
	Admission admit.Rules
	// Webhooks posts to webhooks: those of the default rules, and CallWebhook's; nil: none are called.
	Webhooks webhooks.Caller
	// Log defaults to slog.Default().
	Log *slog.Logger
	// Quarantine makes this process write down values that cannot be read at /gantry/quarantine/ and keep
	// /gantry/version; only a control-plane process may.
	Quarantine bool
	// OnBad, when set, is called for every value that cannot be read, once a revision, with its kind, namespace and
	// name; it must not block.
	OnBad func(k *schema.Kind, namespace, name string, err error)
}

// Item is one object as the cache holds it: final bytes and what selectors compare. Shared, read-only.
type Item struct {
	Kind            *schema.Kind
	Namespace, Name string
	// Revision is metadata.resourceVersion.
	Revision int64
	// JSON is the object with resourceVersion spliced in.
	JSON []byte
	item // decoded form, labels, fields: unexported, see item.go
}

// List is a page of items in key order.
type List struct {
	Items []*Item
	// Revision is the list's resourceVersion.
	Revision int64
	// Continue is the next page's token, "" on the last page.
	Continue string
	// Whole tells that Items are all objects between the first and the last: there is no selector.
	Whole bool
	// Remaining is how many items follow this page; nil where it is not known (a selector is given).
	Remaining *int64
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
