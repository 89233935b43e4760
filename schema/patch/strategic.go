package patch

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	kjson "sigs.k8s.io/json"

	"gantry/schema"
)

// The directives of a strategic merge patch.
const (
	directive        = "$patch"                   // with merge, replace or delete
	retainKeys       = "$retainKeys"              // the members that stay
	deleteElements   = "$deleteFromPrimitiveList" // + "/" + list
	elementOrder     = "$setElementOrder"         // + "/" + list
	strategyRetains  = "retainKeys"
	strategyMerge    = "merge"
	strategyReplace  = "replace"
	directiveDelete  = "delete"
	directiveReplace = "replace"
	directiveMerge   = "merge"
)

// applyStrategic makes what strategicpatch.StrategicMergeMapPatch makes. That one searches the list for every element of the
// patch's list; here the elements are indexed by their merge key.
func applyStrategic(v *schema.Version, current, patch []byte) ([]byte, error) {
	into, from, err := decodeBoth(current, patch, kjson.UnmarshalCaseSensitivePreserveInts)
	if errors.Is(err, ErrMalformed) {
		err = failure(ErrRefused, err)
	}
	if err != nil {
		return nil, err
	}
	if v.IsUnstructured() {
		return nil, failure(ErrUnsupported, fmt.Errorf("%s has no strategic merge patch", v.GVK()))
	}
	meta, err := strategicpatch.NewPatchMetaFromStruct(v.New())
	if err != nil {
		return nil, failure(ErrConflict, err)
	}
	// kind and apiVersion do not change, whatever the patch has: clients scale with {"kind":"Deployment",...}.
	delete(from, "kind")
	delete(from, "apiVersion")
	merged, err := strategicMap(into, from, meta)
	var classified *Error
	switch {
	case errors.As(err, &classified):
		return nil, err
	case err != nil:
		return nil, failure(strategicKind(err), err)
	}
	return encode(merged)
}

// strategicKind tells the errors that Kubernetes knows. The others, a missing merge key among them, are internal errors to it.
func strategicKind(err error) error {
	switch {
	case isOneOf(err, mergepatch.ErrBadJSONDoc, mergepatch.ErrBadPatchFormatForPrimitiveList, mergepatch.ErrBadPatchFormatForRetainKeys,
		mergepatch.ErrBadPatchFormatForSetElementOrderList, mergepatch.ErrUnsupportedStrategicMergePatchFormat):
		return ErrRefused
	case isOneOf(err, mergepatch.ErrNoListOfLists, mergepatch.ErrPatchContentNotMatchRetainKeys):
		return ErrConflict
	}
	return ErrUnknown
}

func isOneOf(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(k error) bool { return errors.Is(err, k) })
}

// strategicMap merges patch into an object whose fields meta knows. Both are modified.
func strategicMap(into, patch map[string]any, meta strategicpatch.LookupPatchMeta) (map[string]any, error) {
	if d, ok := patch[directive]; ok {
		switch d {
		case directiveReplace:
			delete(patch, directive)
			return patch, nil
		case directiveDelete:
			return map[string]any{}, nil
		}
		return nil, failure(ErrUnknown, mergepatch.ErrBadPatchType(d, patch))
	}
	if into == nil {
		into = map[string]any{}
	}
	if err := retain(into, patch); err != nil {
		return nil, err
	}
	if err := mergeOrdered(into, patch, meta); err != nil {
		return nil, err
	}
	for key, value := range patch {
		removes := strings.HasPrefix(key, deleteElements)
		if removes {
			var ok bool
			if key, ok = strings.CutPrefix(key, deleteElements+"/"); !ok {
				return nil, mergepatch.ErrBadPatchFormatForPrimitiveList
			}
		}
		if err := mergeMember(into, key, value, removes, meta); err != nil {
			return nil, err
		}
	}
	return into, nil
}

// retain removes from an object what the patch's $retainKeys does not name.
func retain(into, patch map[string]any) error {
	keys, ok := patch[retainKeys]
	if !ok {
		return nil
	}
	delete(patch, retainKeys)
	list, ok := keys.([]any)
	if !ok {
		return mergepatch.ErrBadPatchFormatForRetainKeys
	}
	keep := make(map[any]bool, len(list))
	for _, key := range list {
		if scalar(key) {
			keep[key] = true
		}
	}
	for key, value := range patch {
		if value != nil && !keep[key] && !strings.HasPrefix(key, deleteElements) && !strings.HasPrefix(key, elementOrder) {
			return mergepatch.ErrBadPatchFormatForRetainKeys
		}
	}
	for key := range into {
		if !keep[key] {
			delete(into, key)
		}
	}
	return nil
}

// mergeMember merges the patch's value of one member; removes tells that it lists elements to remove.
func mergeMember(into map[string]any, key string, value any, removes bool, meta strategicpatch.LookupPatchMeta) (err error) {
	if value == nil {
		delete(into, key)
		return nil
	}
	was, ok := into[key]
	if !ok || reflect.TypeOf(was) != reflect.TypeOf(value) {
		if removes {
			return nil
		}
		dropNulls(value)
		if value, ok = withoutDirectives(value); ok {
			into[key] = value
		} else {
			delete(into, key)
		}
		return nil
	}
	switch was := was.(type) {
	case map[string]any:
		into[key], err = mergeObjects(was, value.(map[string]any), key, meta)
	case []any:
		into[key], err = mergeLists(was, value.([]any), key, removes, meta)
	default:
		into[key] = value
	}
	return err
}

func mergeObjects(into, patch map[string]any, key string, meta strategicpatch.LookupPatchMeta) (map[string]any, error) {
	below, field, err := meta.LookupPatchMetadataForStruct(key)
	if err != nil {
		return nil, err
	}
	strategy, err := strategyOf(field)
	switch {
	case err != nil:
		return nil, err
	case strategy == strategyReplace:
		return patch, nil
	}
	return strategicMap(into, patch, below)
}

// strategyOf is a field's strategy besides retainKeys, which the patch's own directive says.
func strategyOf(field strategicpatch.PatchMeta) (string, error) {
	strategies := field.GetPatchStrategies()
	switch {
	case len(strategies) == 0:
		return "", nil
	case len(strategies) == 1 && strategies[0] == strategyRetains:
		return "", nil
	case len(strategies) == 1:
		return strategies[0], nil
	case len(strategies) == 2 && strategies[0] == strategyRetains:
		return strategies[1], nil
	case len(strategies) == 2 && strategies[1] == strategyRetains:
		return strategies[0], nil
	}
	return "", fmt.Errorf("unexpected patch strategy: %v", strategies)
}

// dropNulls removes the members of a new value that are null.
func dropNulls(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			if below == nil {
				delete(v, key)
			} else {
				dropNulls(below)
			}
		}
	case []any:
		for _, below := range v {
			dropNulls(below)
		}
	}
}

// withoutDirectives is a new value without the directives of a merge; false: nothing is left.
func withoutDirectives(value any) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		if _, ok := v[directive]; ok {
			return nil, false
		}
		for key, below := range v {
			if clean, ok := withoutDirectives(below); ok {
				v[key] = clean
			} else {
				delete(v, key)
			}
		}
	case []any:
		kept := v[:0]
		for _, below := range v {
			if clean, ok := withoutDirectives(below); ok {
				kept = append(kept, clean)
			}
		}
		return kept, true
	}
	return value, true
}

// scalar tells the values that can be a key of a map.
func scalar(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}
