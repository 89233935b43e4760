package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
)

// verb is what an action does.
type verb string

// The verbs. An update and a status update replace the object as it was seen: a change meanwhile is a Conflict and the
// key is looked at again.
const (
	create       verb = "create"
	update       verb = "update"
	updateStatus verb = "update status of"
	remove       verb = "delete"
)

// action is one step of a plan, and why.
type action struct {
	do     verb
	kind   *schema.Kind
	obj    schema.Object
	reason string
	// event is recorded once it is done; nil: none.
	event *note
	// bulk actions of the same verb that follow each other run side by side.
	bulk bool
	// quiet ones have no line in the log of their own: their plan's maker writes one for all.
	quiet bool
	// options are those of a delete; the uid seen is always a precondition.
	options registry.DeleteOptions
}

// note is an event about an object.
type note struct {
	kind            *schema.Kind
	about           schema.Object
	warning         bool
	reason, message string
}

func (a action) String() string {
	return fmt.Sprintf("%s %s %s: %s", a.do, a.kind.Kind, nameOf(a.obj), a.reason)
}

// nameOf is "namespace/name", or the name alone of an object without namespace.
func nameOf(obj metav1.Object) string {
	if ns := obj.GetNamespace(); ns != "" {
		return ns + "/" + obj.GetName()
	}
	return obj.GetName()
}
