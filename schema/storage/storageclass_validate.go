package storage

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// The bounds of a class's parameters.
const (
	maxParameters     = 512
	maxParametersSize = 256 << 10 // bytes of keys and values
)

// validateStorageClass checks that
//   - the provisioner is named validly;
//   - the parameters have keys and are not too large;
//   - the reclaim policy and the binding mode are known;
//   - topologies have valid labels, each with values, and no two terms are the same.
func validateStorageClass(c *storagev1.StorageClass) field.ErrorList {
	var f check.Errors
	checkProvisioner(&f, c.Provisioner, field.NewPath("provisioner"))
	checkParameters(&f, c.Parameters, field.NewPath("parameters"))
	if c.ReclaimPolicy != nil && *c.ReclaimPolicy != "" {
		check.OneOf(&f, field.NewPath("reclaimPolicy"), *c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)
	}
	if mode := field.NewPath("volumeBindingMode"); c.VolumeBindingMode == nil {
		f.Required(mode, "")
	} else {
		check.OneOf(&f, mode, *c.VolumeBindingMode, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)
	}
	checkTopologies(&f, c.AllowedTopologies, field.NewPath("allowedTopologies"))
	return f.List
}

// validateStorageClassUpdate checks that what volumes are made with stays.
func validateStorageClassUpdate(c, old *storagev1.StorageClass) field.ErrorList {
	var f check.Errors
	f.Add(validateStorageClass(c)...)
	f.Same(field.NewPath("parameters"), c.Parameters, old.Parameters)
	f.Same(field.NewPath("provisioner"), c.Provisioner, old.Provisioner)
	f.Same(field.NewPath("reclaimPolicy"), c.ReclaimPolicy, old.ReclaimPolicy)
	f.Same(field.NewPath("volumeBindingMode"), c.VolumeBindingMode, old.VolumeBindingMode)
	return f.List
}

func checkProvisioner(f *check.Errors, name string, p *field.Path) {
	if f.Set(p, name) {
		lower := strings.ToLower(name)
		f.Each(p, lower, validation.IsQualifiedName(lower))
	}
}

func checkParameters(f *check.Errors, parameters map[string]string, p *field.Path) {
	if len(parameters) > maxParameters {
		f.Add(field.TooLong(p, "", maxParameters))
		return
	}
	if _, there := parameters[""]; there {
		f.Invalid(p, "", "field can not be empty.")
	}
	if sizeOf(parameters) > maxParametersSize {
		f.Add(field.TooLong(p, "", maxParametersSize))
	}
}

// sizeOf is the size of keys and values, in bytes.
func sizeOf(m map[string]string) (n int) {
	for k, v := range m {
		n += len(k) + len(v)
	}
	return n
}

// checkTopologies has an error of a term for every one before it that is the same. A term without labels is the same as each of as many
// others as there are terms, since that is what Kubernetes compares with.
func checkTopologies(f *check.Errors, terms []corev1.TopologySelectorTerm, list *field.Path) {
	seen := map[string]int{"": len(terms)}
	for i, t := range terms {
		p := list.Index(i).Child("matchLabelExpressions")
		values := map[string][]string{} // by label, sorted
		for j, e := range t.MatchLabelExpressions {
			at := p.Index(j)
			set := checkTopologyValues(f, e.Values, at.Child("values"))
			f.Add(metavalidation.ValidateLabelName(e.Key, at.Child("key"))...)
			if _, there := values[e.Key]; there {
				f.Duplicate(at.Child("key"), e.Key)
			}
			values[e.Key] = set
		}
		text := textOf(values)
		for n := seen[text]; n > 0 && !f.Full(); n-- {
			f.Duplicate(p, "")
		}
		seen[text]++
	}
}

// checkTopologyValues returns the values, sorted, each once.
func checkTopologyValues(f *check.Errors, values []string, p *field.Path) []string {
	if len(values) == 0 {
		f.Required(p, "")
	}
	seen := make(map[string]bool, len(values))
	for i, v := range values {
		if seen[v] {
			f.Duplicate(p.Index(i), v)
		}
		seen[v] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// textOf is one text for maps that are the same, another for any other.
func textOf(m map[string][]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(strconv.Quote(key))
		for _, v := range m[key] {
			b.WriteString("=" + strconv.Quote(v))
		}
	}
	return b.String()
}
