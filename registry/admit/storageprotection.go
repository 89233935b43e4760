package admit

import (
	"context"
	"slices"

	storagev1 "k8s.io/api/storage/v1"

	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/storage"
)

// wantsProtection is the Wants of a rule on new claims, volumes and volume attributes classes.
func wantsProtection(o Operation, k *schema.Kind, subresource string) bool {
	return o == Create && subresource == "" && protectionOf(k) != ""
}

// protectionOf is the finalizer that keeps an object of a kind while it is used; "": there is none.
func protectionOf(k *schema.Kind) string {
	switch {
	case k.Group == "" && k.Plural == core.PersistentVolumeClaim.Plural:
		return core.ClaimProtection
	case k.Group == "" && k.Plural == core.PersistentVolume.Plural:
		return core.VolumeProtection
	case k.Group == storagev1.GroupName && k.Plural == storage.VolumeAttributesClass.Plural:
		return storage.AttributesClassProtection
	}
	return ""
}

// protectStorage adds the finalizer of the kind. The controllers pvcprotection, pvprotection and vacprotection remove it.
func protectStorage(_ context.Context, _ Reader, q *Request) error {
	if all, mine := q.Object.GetFinalizers(), protectionOf(q.Kind); !slices.Contains(all, mine) {
		q.Object.SetFinalizers(append(slices.Clone(all), mine))
	}
	return nil
}
