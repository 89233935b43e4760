package schema

import (
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Nearly all metadata is free of faults, and apimachinery's functions match a regular expression against each of its texts to
// find that out. plainCreate and plainUpdate see it at a glance. They say no to all that is unusual: that is apimachinery's to
// judge, and its faults' to word.

func plainCreate(k *Kind, m Object) bool {
	rule := nameRule(k)
	return m.GetName() != "" && len(rule(m.GetName(), false)) == 0 &&
		(m.GetGenerateName() == "" || len(rule(m.GetGenerateName(), true)) == 0) &&
		(m.GetNamespace() != "") == k.Namespaced && (!k.Namespaced || plainLabel(m.GetNamespace())) &&
		m.GetGeneration() >= 0 && len(m.GetFinalizers()) == 0 && plainMeta(m)
}

func plainUpdate(m, old Object) bool {
	return m.GetResourceVersion() != "" && m.GetGeneration() >= old.GetGeneration() &&
		m.GetName() == old.GetName() && m.GetNamespace() == old.GetNamespace() && m.GetUID() == old.GetUID() &&
		m.GetCreationTimestamp() == old.GetCreationTimestamp() && // by memory
		m.GetDeletionTimestamp() == nil && old.GetDeletionTimestamp() == nil &&
		m.GetDeletionGracePeriodSeconds() == nil && old.GetDeletionGracePeriodSeconds() == nil && plainMeta(m)
}

// plainMeta looks at what a creation and an update are judged by alike.
func plainMeta(m Object) bool {
	size := 0
	for k, v := range m.GetLabels() {
		if !plainKey(k) || v != "" && !plainName(v) {
			return false
		}
	}
	for k, v := range m.GetAnnotations() {
		if size += len(k) + len(v); !plainKey(k) {
			return false
		}
	}
	owners := m.GetOwnerReferences()
	return size <= apivalidation.TotalAnnotationSizeLimitB && len(m.GetManagedFields()) == 0 &&
		(len(owners) == 0 || len(owners) == 1 && plainOwner(owners[0]))
}

func plainOwner(o metav1.OwnerReference) bool {
	group, version, grouped := strings.Cut(o.APIVersion, "/")
	return (grouped && plainSubdomain(group) && plainLabel(version) || plainLabel(o.APIVersion)) &&
		o.Kind != "" && o.Kind != "Event" && o.Name != "" && o.UID != ""
}

// plainKey is a label's or an annotation's key: a name, or one after a domain.
func plainKey(s string) bool {
	domain, name, both := strings.Cut(s, "/")
	return both && plainSubdomain(domain) && plainName(name) || !both && plainName(s)
}

// plainName is up to 63 letters, digits, '-', '_' and '.', the first and the last a letter or digit.
func plainName(s string) bool {
	if len(s) == 0 || len(s) > 63 || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// plainSubdomain is labels between dots.
func plainSubdomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for more := true; more; {
		var label string
		if label, s, more = strings.Cut(s, "."); !plainLabel(label) {
			return false
		}
	}
	return true
}

// plainLabel is up to 63 small letters, digits and '-', the first and the last no '-'.
func plainLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (!alphanumeric(c) || c < 'a' && c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
}
