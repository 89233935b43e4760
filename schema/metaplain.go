package schema

import (
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/check"
)

// Nearly all metadata is valid, and apimachinery's functions match a regular expression against each of its texts. plainCreate and
// plainUpdate are faster and accept only common metadata: everything else is validated by apimachinery, which also has the error texts.

func plainCreate(k *Kind, m Object) bool { return plainNew(m, k.Namespaced, nameRule(k)) }

func plainNew(m Object, namespaced bool, rule apivalidation.ValidateNameFunc) bool {
	return m.GetName() != "" && len(rule(m.GetName(), false)) == 0 &&
		(m.GetGenerateName() == "" || len(rule(m.GetGenerateName(), true)) == 0) &&
		(m.GetNamespace() != "") == namespaced && (!namespaced || check.IsLabel(m.GetNamespace())) &&
		m.GetGeneration() >= 0 && len(m.GetFinalizers()) == 0 && plainMeta(m)
}

func plainUpdate(m, old Object) bool {
	return m.GetResourceVersion() != "" && m.GetGeneration() >= old.GetGeneration() &&
		m.GetName() == old.GetName() && m.GetNamespace() == old.GetNamespace() && m.GetUID() == old.GetUID() &&
		m.GetCreationTimestamp() == old.GetCreationTimestamp() && // the same in memory
		m.GetDeletionTimestamp() == nil && old.GetDeletionTimestamp() == nil &&
		m.GetDeletionGracePeriodSeconds() == nil && old.GetDeletionGracePeriodSeconds() == nil && plainMeta(m)
}

// plainMeta checks what creates and updates have in common.
func plainMeta(m Object) bool {
	size := 0
	for k, v := range m.GetLabels() {
		if !check.IsQualified(k) || !check.IsLabelValue(v) {
			return false
		}
	}
	for k, v := range m.GetAnnotations() {
		if size += len(k) + len(v); !check.IsQualified(k) {
			return false
		}
	}
	owners := m.GetOwnerReferences()
	return size <= apivalidation.TotalAnnotationSizeLimitB && len(m.GetManagedFields()) == 0 &&
		(len(owners) == 0 || len(owners) == 1 && plainOwner(owners[0]))
}

func plainOwner(o metav1.OwnerReference) bool {
	group, version, grouped := strings.Cut(o.APIVersion, "/")
	return (grouped && check.IsSubdomain(group) && check.IsLabel(version) || check.IsLabel(o.APIVersion)) &&
		o.Kind != "" && o.Kind != "Event" && o.Name != "" && o.UID != ""
}
