package registry

import (
	"fmt"

	"gantry/schema"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ListOptions are those of Kubernetes' API concepts page; the zero value is a consistent list of everything.
type ListOptions struct {
	ResourceVersion      string // "": consistent; "0": the cache as it is; N: see Match
	ResourceVersionMatch string // "", "Exact", "NotOlderThan"
	Limit                int64
	Continue             string
	Labels               string // selector text, "app=web,tier!=db"
	Fields               string // selector text, "spec.nodeName=n1"
	// Version is the one that Fields names fields of; nil: the stored one.
	Version *schema.Version
}

// WatchOptions are those of Kubernetes' API concepts page.
type WatchOptions struct {
	ResourceVersion      string
	ResourceVersionMatch string
	Labels, Fields       string
	// Version is the one that Fields names fields of; nil: the stored one.
	Version           *schema.Version
	Bookmarks         bool // allowWatchBookmarks
	SendInitialEvents *bool
}

// WriteOptions steer a create, update or modify.
type WriteOptions struct {
	// Subresource is "", "status", "scale", or one of the kind's own ("resize" of pods).
	Subresource string
	// DryRun does everything but store.
	DryRun bool
	// UID and ResourceVersion, when set, must match the stored object: else Conflict.
	UID, ResourceVersion string
	// Decoded tells that the object was read from JSON and the caller does not use it any more: the result may hold it as
	// its decoded form. (An object made in Go may differ from what is read again, in parts of a second, say.)
	Decoded bool
	// Version is the version of the kind that the client speaks; nil: the stored one. Objects are of that version here where it has rules of
	// its own (schema.Kind.RulesOf), else of the stored one. A Modify without Version of an object that is in another version
	// (Item.Version) gets it, and leaves it, in that version.
	Version *schema.Version
	// FieldManager is the name under which managedFields record the write, and Client the one where FieldManager is empty; both "": the
	// agent's. Rules of admission see FieldManager and FieldValidation, which changes nothing here.
	FieldManager, Client, FieldValidation string
	// Warn, where set, is called with what is valid in the object and yet probably a mistake (Kind.Warnings) and with the warnings of
	// admission, before the object is stored, and again when that is repeated.
	Warn func(texts []string)
	// Create, where set, is called before an update creates the object (Kind.CreateOnUpdate); its error becomes the update's.
	Create func() error

	applied bool // the object has the managedFields of server-side apply
}

// inVersionOf names the version of obj where the options name none and it says its own: of a kind whose versions have rules of their own.
func (o WriteOptions) inVersionOf(k *schema.Kind, obj schema.Object) WriteOptions {
	if o.Version == nil && k.Rules != nil {
		o.Version = k.VersionOf(obj)
	}
	return o
}

// warn calls o.Warn with the warnings about an object that replaces old (nil: a create), and with those of admission.
func (o WriteOptions) warn(k *schema.Kind, obj, old schema.Object, admission []string) {
	if o.Warn == nil {
		return
	}
	warnings := k.Warnings
	if s := k.Subresource(o.Subresource); s != nil {
		warnings = s.Warnings
	} else if o.Subresource != "" {
		warnings = nil
	}
	if warnings != nil && obj != nil {
		admission = append(warnings(obj, old), admission...)
	}
	if len(admission) > 0 {
		o.Warn(admission)
	}
}

// DeleteOptions steer a delete.
type DeleteOptions struct {
	DryRun               bool
	GracePeriodSeconds   *int64
	UID, ResourceVersion string // preconditions
	Propagation          string // "", "Orphan", "Background", "Foreground"
	// Version is the version of the kind that the client speaks; nil: the stored one.
	Version *schema.Version
	// Subresource is the one by which the object is deleted: "" or "eviction".
	Subresource string
	// Warn, where set, is called with the kind's warning about a deletion without a policy (Kind.OrphanWarning) and again with that and
	// the warnings of admission; by DeleteCollection with the first alone.
	Warn func(texts []string)
}

const (
	matchExact = "Exact"
	matchNot   = "NotOlderThan"
)

// validateList checks the rules of list options, with Kubernetes' texts.
func validateList(o ListOptions) error {
	var errs field.ErrorList
	at := field.NewPath("resourceVersionMatch")
	if match := o.ResourceVersionMatch; match != "" {
		if o.ResourceVersion == "" {
			errs = append(errs, field.Forbidden(at, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
		}
		if o.Continue != "" {
			errs = append(errs, field.Forbidden(at, "resourceVersionMatch is forbidden when continue is provided"))
		}
		if match != matchExact && match != matchNot {
			errs = append(errs, field.NotSupported(at, match, []string{matchExact, matchNot, ""}))
		}
		if match == matchExact && o.ResourceVersion == "0" {
			errs = append(errs, field.Forbidden(at, `resourceVersionMatch "exact" is forbidden for resourceVersion "0"`))
		}
	}
	return invalidOptions(errs)
}

// validateWatch checks the rules of watch options, with Kubernetes' texts.
func validateWatch(o WatchOptions) error {
	var errs field.ErrorList
	at := field.NewPath("resourceVersionMatch")
	match := o.ResourceVersionMatch
	if o.SendInitialEvents != nil && match != matchNot {
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("sendInitialEvents requires setting resourceVersionMatch to %s", matchNot)))
	}
	if match != "" {
		if o.SendInitialEvents == nil {
			errs = append(errs, field.Forbidden(at, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
		}
		if match != matchNot {
			errs = append(errs, field.NotSupported(at, match, []string{matchNot}))
		}
	}
	return invalidOptions(errs)
}

func invalidOptions(errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Group: "meta.k8s.io", Resource: "listoptions", KindName: "ListOptions", Fields: errs}
}
