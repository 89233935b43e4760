package registry

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"

	"gantry/schema"
)

const (
	maxGeneratedName = 63
	suffixLength     = 5
)

// generateName is a generateName with a random suffix, cut so that the whole stays a DNS label's length.
func generateName(base string) string {
	if len(base) > maxGeneratedName-suffixLength {
		base = base[:maxGeneratedName-suffixLength]
	}
	return base + rand.String(suffixLength)
}

// createMeta sets the metadata that the server sets on a new object and clears what no client may set.
func createMeta(obj schema.Object, now time.Time) {
	obj.SetUID(uuid.NewUUID())
	obj.SetCreationTimestamp(metaTime(now))
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	obj.SetResourceVersion("")
}

// updateMeta copies into obj what an update does not change. A changed immutable field stays as it is in obj: validation returns its error.
func updateMeta(obj, old schema.Object) {
	obj.SetSelfLink("")
	obj.SetGeneration(old.GetGeneration())
	obj.SetResourceVersion(old.GetResourceVersion())
	obj.SetUID(old.GetUID())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	if obj.GetNamespace() == "" {
		obj.SetNamespace(old.GetNamespace())
	}
	if old.GetDeletionTimestamp() != nil {
		obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	}
	if obj.GetDeletionGracePeriodSeconds() == nil {
		obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	}
}

// metaTime is a time as JSON keeps it: whole seconds.
func metaTime(t time.Time) metav1.Time { return metav1.NewTime(t).Rfc3339Copy() }

// error is an error about an object of k. The reason is complete in itself; "" leaves the text to the kind of error.
func newError(k *schema.Kind, name string, kind ErrorKind, reason string, args ...any) *Error {
	if len(args) > 0 {
		reason = fmt.Sprintf(reason, args...)
	}
	return &Error{Kind: kind, Group: k.Group, Resource: k.Plural, Name: name, KindName: k.Kind, Reason: reason}
}

const modified = "the object has been modified; please apply your changes to the latest version and try again"
