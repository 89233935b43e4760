package patch

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// mergeOrdered merges the lists whose order the patch gives by $setElementOrder, and removes them from the patch.
func mergeOrdered(into, patch map[string]any, meta strategicpatch.LookupPatchMeta) error {
	for name, value := range patch {
		if !strings.HasPrefix(name, elementOrder) {
			continue
		}
		delete(patch, name)
		order, ok := value.([]any)
		if !ok {
			return mergepatch.ErrBadArgType([]any(nil), value)
		}
		field, ok := strings.CutPrefix(name, elementOrder+"/")
		if !ok {
			return mergepatch.ErrBadPatchFormatForSetElementOrderList
		}
		is, found, err := listIn(into, field)
		if err != nil {
			return err
		}
		changes, patched, err := listIn(patch, field)
		if err != nil {
			return err
		}
		_, about, err := meta.LookupPatchMetadataForSlice(field)
		if err != nil {
			return err
		}
		if _, err := strategyOf(about); err != nil {
			return err
		}
		key := about.GetPatchMergeKey()
		if err := checkOrder(changes, order, key); err != nil {
			return err
		}
		if !found && !patched {
			continue
		}
		ordered, err := mergeInOrder(is, changes, order, found, patched, field, meta, key)
		if err != nil {
			return err
		}
		into[field] = ordered
		delete(patch, field)
	}
	return nil
}

// mergeInOrder merges the list in a field and puts it in order.
func mergeInOrder(is, changes, order []any, found, patched bool, field string, meta strategicpatch.LookupPatchMeta, key string) (merged []any, err error) {
	kind, err := elementKind(is, changes)
	if err != nil {
		return nil, err
	}
	switch {
	case !patched:
		merged = is
	case !found:
		clean, _ := withoutDirectives(slices.Clone(changes))
		merged = clean.([]any)
	default:
		// Elements are removed from is and added to it where it is: what is in their places then counts as the order before,
		// as Kubernetes has it.
		if merged, err = mergeLists(is, changes, field, false, meta); err != nil {
			return nil, err
		}
	}
	return arrange(merged, order, is, key, kind)
}

func listIn(m map[string]any, field string) (list []any, found bool, err error) {
	value, found := m[field]
	if !found {
		return nil, false, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, false, mergepatch.ErrBadArgType(list, value)
	}
	return list, true, nil
}

// checkOrder checks that the elements of a patch are all in the order that it gives, and come in it.
func checkOrder(patch, order []any, key string) error {
	if len(order) == 0 || len(patch) == 0 {
		return nil
	}
	kept := make([]any, 0, len(patch))
	for _, v := range patch {
		element, ok := v.(map[string]any)
		if key != "" && !ok {
			return mergepatch.ErrBadArgType(element, v)
		}
		if d, ok := element[directive]; !ok || key != "" && d != directiveDelete {
			kept = append(kept, v)
		}
	}
	i, j := 0, 0
	for i < len(kept) && j < len(order) {
		if element, ok := kept[i].(map[string]any); ok {
			if _, ok := element[directive]; ok {
				i++
				continue
			}
		}
		same, err := sameKey(kept[i], order[j], key)
		if err != nil {
			return err
		}
		if same {
			i++
		}
		j++
	}
	if i < len(kept) && j >= len(order) {
		return fmt.Errorf("The order in patch list:\n%v\n doesn't match %s list:\n%v\n", patch, elementOrder, order) //lint:ignore ST1005 the client sees this sentence as Kubernetes writes it
	}
	return nil
}

func sameKey(a, b any, key string) (bool, error) {
	if key == "" {
		return scalar(a) && scalar(b) && a == b, nil
	}
	values := [2]any{}
	for i, v := range []any{a, b} {
		element, ok := v.(map[string]any)
		if !ok {
			return false, mergepatch.ErrBadArgType(element, v)
		}
		if values[i], ok = element[key]; !ok {
			return false, mergepatch.ErrNoMergeKey(element, key)
		}
	}
	return scalar(values[0]) && scalar(values[1]) && values[0] == values[1], nil
}

// arrange puts the elements of a merged list in order: those that order names in its order, the others in the order they
// were in before, and each of the others before the first named one that it was before.
func arrange(merged, order, before []any, key string, kind reflect.Kind) ([]any, error) {
	if kind == reflect.Map && key == "" {
		return nil, errors.New("cannot order a list of objects without merge key")
	}
	inOrder, was := placesOf(order, key), placesOf(before, key)
	var named, others []any
	for _, v := range merged {
		value, err := keyValue(v, key)
		switch {
		case err != nil:
			return nil, err
		case inOrder.has(value):
			named = append(named, v)
		default:
			others = append(others, v)
		}
	}
	if kind == reflect.Map {
		for _, list := range [][]any{named, order, others, before} {
			for _, v := range list {
				if v == nil {
					continue // the place of a removed one
				}
				if _, err := keyValue(v, key); err != nil {
					return nil, err
				}
			}
		}
	}
	named, others = sortBy(named, inOrder, key), sortBy(others, was, key)
	out := make([]any, 0, len(merged))
	for len(named) > 0 && len(others) > 0 {
		i, known := was.of(others[0], key)
		j, both := was.of(named[0], key)
		if known && both && i < j {
			out, others = append(out, others[0]), others[1:]
		} else {
			out, named = append(out, named[0]), named[1:]
		}
	}
	return append(append(out, named...), others...), nil
}

// sortBy sorts a list by the places of its elements; elements to be deleted, which only a patch of a new list leaves in it, come
// last. Where one has no place it is what Kubernetes' sort makes of it.
func sortBy(list []any, by places, key string) []any {
	var last []any
	rest := list[:0]
	for _, v := range list {
		if element, ok := v.(map[string]any); ok && element[directive] == directiveDelete {
			last = append(last, v)
		} else {
			rest = append(rest, v)
		}
	}
	sort.SliceStable(rest, func(a, b int) bool {
		i, known := by.of(rest[a], key)
		j, both := by.of(rest[b], key)
		return !known || !both || i < j
	})
	return append(rest, last...)
}

// keyValue is an element's value of the merge key, or the element where its list has none.
func keyValue(v any, key string) (any, error) {
	if key == "" {
		return v, nil
	}
	element, ok := v.(map[string]any)
	if !ok {
		return nil, mergepatch.ErrBadArgType(element, v)
	}
	value, ok := element[key]
	if !ok {
		return nil, mergepatch.ErrNoMergeKey(element, key)
	}
	return value, nil
}
