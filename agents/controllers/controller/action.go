package controller

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
)

// Verb is what an action does.
type Verb string

// The verbs. An update, also of a status or an approval, replaces the object as it was seen: a change meanwhile is a Conflict and the
// key is reconciled again.
const (
	Create       Verb = "create"
	Update       Verb = "update"
	UpdateStatus Verb = "update status of"
	// UpdateApproval writes the conditions of a certificate signing request that approve or deny it.
	UpdateApproval Verb = "update approval of"
	Delete         Verb = "delete"
	// RemoveFinalizer takes Action.Finalizer from the object of that uid, whatever else of it changed meanwhile.
	RemoveFinalizer Verb = "remove finalizer of"
	// Scale sets the replicas of the object of that uid to Action.Replicas by its scale subresource, whatever else of it changed meanwhile.
	Scale Verb = "scale"
)

// Action is one step of a plan, and why.
type Action struct {
	Do   Verb
	Kind *schema.Kind
	// Object is what is written, or the object to delete as it was seen.
	Object schema.Object
	// Finalizer is the one that RemoveFinalizer removes.
	Finalizer string
	// Replicas is what Scale sets.
	Replicas int32
	// Reason says why, for the log.
	Reason string
	// Event is recorded once the action is done; nil: none.
	Event *Event
	// Failed is recorded when the action fails, its message followed by the error; nil: none. A Conflict, an object that exists already, a
	// namespace that is being deleted and the end of the term are no failures to record.
	Failed *Event
	// Bulk actions of the same verb and kind that follow each other run side by side.
	Bulk bool
	// Quiet ones are logged at debug level only: who made the plan logs one line for all.
	Quiet bool
	// DeleteOptions are those of a delete; the uid seen is always a precondition.
	DeleteOptions registry.DeleteOptions
}

// Event is a Kubernetes Event to record about an object.
type Event struct {
	Kind  *schema.Kind
	About schema.Object
	// Warning is the Event's type; otherwise it is Normal.
	Warning         bool
	Reason, Message string
}

func (a Action) String() string {
	return fmt.Sprintf("%s %s %s: %s", a.Do, a.Kind.Kind, KeyOf(a.Object), a.Reason)
}

// KeyOf is "namespace/name", or the name alone of an object without namespace.
func KeyOf(obj metav1.Object) string {
	if ns := obj.GetNamespace(); ns != "" {
		return ns + "/" + obj.GetName()
	}
	return obj.GetName()
}
