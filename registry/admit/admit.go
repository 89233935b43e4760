// Package admit holds the rules of admission: what an object may not be, or is given, because of what else there
// is. They run inside the write path, after defaults and before validation, for every writer alike: nobody's pod
// bypasses them, and what they fill in is validated like the rest.
//
// A rule reads other objects through a Reader and may change the object that is about to be written. It looks at
// one write at a time, keeps no state, and does not panic whatever the object holds.
package admit

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

// Op is what is being done.
type Op string

// The operations.
const (
	Create Op = "CREATE"
	Update Op = "UPDATE"
	Delete Op = "DELETE"
)

// Request is one write.
type Request struct {
	Op              Op
	Kind            *schema.Kind
	Subresource     string // "", "status", "binding"
	Namespace, Name string
	// Obj is what will be written; rules may change it. On a delete it is what is deleted, and is not changed.
	Obj schema.Object
	// Old is what it replaces, read-only; nil on a create.
	Old schema.Object
	// Held is what the rules' decisions stand on: it must be the same when Obj is written.
	Held []Held
}

// Held is an object that a rule has found.
type Held struct {
	Group, Plural, Namespace, Name string
	// ResourceVersion is the object's as it was found.
	ResourceVersion string
	// Again is the rule's decision on another state of the object of that name; nil: it is gone.
	Again func(name string, obj schema.Object) error
}

// is tells whether the request is about the main resource of a core kind.
func (q *Request) is(kind string, ops ...Op) bool {
	if q.Kind.Group != "" || q.Kind.Kind != kind || q.Subresource != "" {
		return false
	}
	for _, op := range ops {
		if q.Op == op {
			return true
		}
	}
	return false
}

// Reader finds other objects: shared, read-only.
type Reader interface {
	// Serves tells whether there are such objects at all.
	Serves(group, plural string) bool
	// Find returns an object; ok is false where there is none, or no such kind is served. It may be an earlier state.
	Find(ctx context.Context, group, plural, namespace, name string) (obj schema.Object, ok bool, err error)
	// Latest is Find that asks the store.
	Latest(ctx context.Context, group, plural, namespace, name string) (obj schema.Object, ok bool, err error)
}

// Rule is one rule.
type Rule struct {
	Name string // as Kubernetes names it
	Doc  string // one line
	// Run returns *Denied or *Missing to refuse, any other error where it could not be decided, nil to go on.
	Run func(ctx context.Context, read Reader, q *Request) error
}

// Rules are all of them, in the order they run in.
var Rules = []Rule{
	{"NamespaceLifecycle", "objects need a namespace that is there and stays; the first namespaces are kept", namespaceLifecycle},
	{"ServiceAccount", "a pod runs as a service account that exists and gets its token", serviceAccount},
	{"TaintNodesByCondition", "a new node takes no pods until it is ready", taintNodes},
	{"Priority", "a pod's priority comes from its class", priority},
	{"DefaultTolerationSeconds", "a pod stays five minutes on a node that is lost", tolerationSeconds},
}

// Run runs every rule and stops at the first that refuses.
func Run(ctx context.Context, read Reader, q *Request) error {
	for _, rule := range Rules {
		if err := rule.Run(ctx, read, q); err != nil {
			return err
		}
	}
	return nil
}

// Denied is a refusal: 403 Forbidden.
type Denied struct {
	Reason string
	Causes []metav1.StatusCause
}

func (d *Denied) Error() string { return d.Reason }

func denied(format string, args ...any) error {
	return &Denied{Reason: fmt.Sprintf(format, args...)}
}

// Missing is an object that the write needs and that is not there: 404 Not Found, about that object.
type Missing struct{ Group, Resource, Kind, Name string }

func (m *Missing) Error() string { return fmt.Sprintf("%s %q not found", m.Resource, m.Name) }
