// Package objectmeta sets the metadata of objects that the server sets, and not the client.
package objectmeta

import (
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

// GenerateName is a metadata.generateName with a random suffix, cut so that the whole stays a DNS label's length.
func GenerateName(base string) string {
	if len(base) > maxGeneratedName-suffixLength {
		base = base[:maxGeneratedName-suffixLength]
	}
	return base + rand.String(suffixLength)
}

// Create sets the metadata that the server sets on a new object and clears what no client may set.
func Create(obj schema.Object, now time.Time) {
	obj.SetUID(uuid.NewUUID())
	obj.SetCreationTimestamp(Time(now))
	obj.SetDeletionTimestamp(nil)
	obj.SetDeletionGracePeriodSeconds(nil)
	obj.SetSelfLink("")
	obj.SetResourceVersion("")
}

// Update copies into obj what an update does not change. A changed immutable field stays as it is in obj: validation returns its error.
func Update(obj, old schema.Object) {
	obj.SetGeneration(old.GetGeneration())
	obj.SetResourceVersion(old.GetResourceVersion())
	if obj.GetUID() == "" {
		obj.SetUID(old.GetUID())
	}
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

// Time is a time as JSON keeps it: whole seconds.
func Time(t time.Time) metav1.Time { return metav1.NewTime(t).Rfc3339Copy() }
