package schema

import (
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateMeta returns every error of obj's metadata on a create: name, namespace, labels, annotations, owner
// references, finalizers, managed fields. The name has been generated before.
func ValidateMeta(k *Kind, obj Object) field.ErrorList {
	if plainCreate(k, obj) {
		return nil
	}
	p := field.NewPath("metadata")
	errs := apivalidation.ValidateObjectMetaAccessor(obj, k.Namespaced, nameRule(k), p)
	errs = append(errs, validateManagedFields(obj.GetManagedFields(), p.Child("managedFields"))...)
	if k.AnyFinalizers {
		return errs
	}
	return append(errs, validateFinalizers(obj.GetFinalizers(), nil, p.Child("finalizers"))...)
}

// ValidateCreate returns every error of obj, a new object that a client of version v (nil: the stored one) writes. Kinds whose rules do not
// check metadata have that checked last, and as little as Kubernetes does, where nothing else is wrong.
func ValidateCreate(k *Kind, v *Version, obj Object) field.ErrorList {
	if k.UpdateMeta != MetaOfNone {
		return append(ValidateMeta(k, obj), k.ErrorsOf(v, obj, nil)...)
	}
	errs := append(k.ErrorsOf(v, obj, nil), validateManagedFields(obj.GetManagedFields(), field.NewPath("metadata", "managedFields"))...)
	if len(errs) > 0 || plainCreate(k, obj) {
		return errs
	}
	return apivalidation.ValidateObjectMetaAccessor(obj, k.Namespaced, path.ValidatePathSegmentName, field.NewPath("metadata"))
}

// ValidateObjectMeta returns the errors of the metadata of a new object (old nil) or of one that replaces old, for a version of a kind whose
// rules check it although those of the kind do not (MetaOfNone).
func ValidateObjectMeta(obj, old Object, namespaced bool, rule apivalidation.ValidateNameFunc) field.ErrorList {
	p := field.NewPath("metadata")
	switch {
	case old == nil && plainNew(obj, namespaced, rule), old != nil && plainUpdate(obj, old) && slices.Equal(obj.GetFinalizers(), old.GetFinalizers()):
		return nil
	case old == nil:
		errs := apivalidation.ValidateObjectMetaAccessor(obj, namespaced, rule, p)
		return append(errs, validateFinalizers(obj.GetFinalizers(), nil, p.Child("finalizers"))...)
	}
	errs := apivalidation.ValidateObjectMetaAccessorUpdate(obj, old, p)
	return append(errs, validateFinalizers(obj.GetFinalizers(), old.GetFinalizers(), p.Child("finalizers"))...)
}

// MetaChecks says which checks of metadata the rules of a kind repeat on an update. What they find is listed once more then.
type MetaChecks int

const (
	// MetaOfUpdate is the check of what an update may not change.
	MetaOfUpdate MetaChecks = iota
	// MetaOfCreate is the check of a create.
	MetaOfCreate
	// MetaOfBoth is that of an update and then that of a create, MetaOfCreateFirst both in the other order.
	MetaOfBoth
	MetaOfCreateFirst
	// MetaOfNone is none.
	MetaOfNone
)

// ValidateMetaUpdate returns every error of obj's metadata replacing old's, as often as Kubernetes lists it: what is immutable and what
// ValidateMeta checks, both once for every kind and again as repeated says. The name is not checked, and neither are finalizers and a
// generateName that old has. The caller has carried into obj what the server keeps (creationTimestamp, deletionTimestamp,
// generation) and, for an unconditional update, the resourceVersion.
func ValidateMetaUpdate(k *Kind, obj, old Object, repeated MetaChecks) (errs field.ErrorList) {
	var changed field.ErrorList
	p := field.NewPath("metadata")
	if !plainUpdate(obj, old) {
		changed = apivalidation.ValidateObjectMetaAccessorUpdate(obj, old, p)
		changed = append(changed, validateManagedFields(obj.GetManagedFields(), p.Child("managedFields"))...)
	}
	sameFinalizers := slices.Equal(obj.GetFinalizers(), old.GetFinalizers())
	if len(changed) == 0 && sameFinalizers && obj.GetGenerateName() == old.GetGenerateName() {
		return nil
	}
	errs = append(validateMetaAgain(k, obj, old, path.ValidatePathSegmentName), changed...)
	if repeated == MetaOfNone {
		return errs
	}
	var finalizers field.ErrorList
	if !k.AnyFinalizers {
		finalizers = validateFinalizers(obj.GetFinalizers(), old.GetFinalizers(), p.Child("finalizers"))
	}
	ofCreate := func() {
		errs = append(append(errs, validateMetaAgain(k, obj, old, nameRule(k))...), finalizers...)
	}
	if repeated == MetaOfCreate || repeated == MetaOfCreateFirst {
		ofCreate()
	}
	if repeated != MetaOfCreate {
		errs = append(append(errs, changed...), finalizers...)
	}
	if repeated == MetaOfBoth {
		ofCreate()
	}
	return errs
}

// validateMetaAgain checks on an update what a create checks.
func validateMetaAgain(k *Kind, obj, old Object, rule apivalidation.ValidateNameFunc) field.ErrorList {
	return apivalidation.ValidateObjectMetaAccessor(obj, k.Namespaced, func(name string, prefix bool) []string {
		if !prefix || name == old.GetGenerateName() {
			return nil
		}
		return rule(name, true)
	}, field.NewPath("metadata"))
}

// nameRule is the kind's rule for names; where it has none, every segment of a path is valid.
func nameRule(k *Kind) apivalidation.ValidateNameFunc {
	if k.ValidateName != nil {
		return k.ValidateName
	}
	return path.ValidatePathSegmentName
}

// validateFinalizers returns errors for finalizers without a domain that are not Kubernetes' own: no controller would remove them. One
// that old has already does not prevent other changes.
func validateFinalizers(names, old []string, p *field.Path) (errs field.ErrorList) {
	var had map[string]bool
	for i, name := range names {
		if strings.Contains(name, "/") || StandardFinalizer(name) {
			continue
		}
		if had == nil {
			had = make(map[string]bool, len(old))
			for _, o := range old {
				had[o] = true
			}
		}
		if !had[name] {
			errs = append(errs, field.Invalid(p.Index(i), name, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

// validateManagedFields returns errors for managed fields that are nested too deep: they are stored as they are.
func validateManagedFields(entries []metav1.ManagedFieldsEntry, p *field.Path) (errs field.ErrorList) {
	for i, e := range entries {
		if e.FieldsV1 == nil {
			continue
		}
		if err := CheckDepth(e.FieldsV1.Raw); err != nil {
			errs = append(errs, field.Invalid(p.Index(i).Child("fieldsV1"), "", err.Error()))
		}
	}
	return errs
}

// StandardFinalizer tells whether name is one of the finalizers that need no domain.
func StandardFinalizer(name string) bool {
	switch name {
	case "kubernetes", metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents:
		return true
	}
	return false
}

// IsUUID tells whether a uid has the form that the server gives uids: "0f8fad5b-d9cb-469f-a165-70867728950e". Node agents name files by it.
func IsUUID(uid string) bool {
	if len(uid) != 36 {
		return false
	}
	for i := range len(uid) {
		c := uid[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c|' ' >= 'a' && c|' ' <= 'f':
		default:
			return false
		}
	}
	return true
}
