package apply

import (
	"slices"
	"strings"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"gantry/schema"
)

// filters say which fields a write of a subresource ("": the object itself) may make its own, by version. What a write sets back to what it
// was is nobody's by that write: status belongs to the status subresource where there is one.
func filters(k *schema.Kind, subresource string) map[fieldpath.APIVersion]fieldpath.Filter {
	f := filterOf(k, subresource)
	if f == nil {
		return nil
	}
	all := map[fieldpath.APIVersion]fieldpath.Filter{fieldpath.APIVersion(k.APIVersion()): f}
	for _, v := range k.Versions {
		all[fieldpath.APIVersion(v.APIVersion())] = f
	}
	return all
}

func filterOf(k *schema.Kind, subresource string) fieldpath.Filter {
	s := k.Subresource(subresource)
	switch {
	case subresource == "":
		resets := k.Resets
		if s := k.Subresource("status"); s != nil && s.IsPart() {
			resets = append(slices.Clip(resets), "status")
		}
		if len(resets) > 0 {
			return excluding(resets)
		}
	case s == nil:
	case len(s.Writes) > 0:
		var written []*fieldpath.SetMatcher
		for _, path := range s.Writes {
			written = append(written, prefixMatcher(path))
		}
		return fieldpath.NewIncludeMatcherFilter(written...)
	case len(s.Resets) > 0:
		return excluding(s.Resets)
	}
	return nil
}

func excluding(paths []string) fieldpath.Filter {
	set := fieldpath.NewSet()
	for _, path := range paths {
		set.Insert(pathOf(path))
	}
	return fieldpath.NewExcludeSetFilter(set)
}

// pathOf is "metadata.labels" or ".spec.replicas" as a path.
func pathOf(path string) fieldpath.Path {
	var p fieldpath.Path
	for step := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		p = append(p, fieldpath.PathElement{FieldName: &step})
	}
	return p
}

// prefixMatcher matches the fields at and below a path, in which "*" is any step.
func prefixMatcher(path string) *fieldpath.SetMatcher {
	var steps []any
	for step := range strings.SplitSeq(path, ".") {
		if step == "*" {
			steps = append(steps, fieldpath.MatchAnyPathElement())
		} else {
			steps = append(steps, step)
		}
	}
	return fieldpath.MakePrefixMatcherOrDie(steps...)
}
