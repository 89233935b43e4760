package patch

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// mergeLists merges the patch's elements of the list in a field; removes tells that they are to be removed from it.
func mergeLists(into, patch []any, field string, removes bool, meta strategicpatch.LookupPatchMeta) ([]any, error) {
	below, about, err := meta.LookupPatchMetadataForSlice(field)
	if err != nil {
		return nil, err
	}
	strategy, err := strategyOf(about)
	if err != nil {
		return nil, err
	}
	if strategy != strategyMerge && !removes {
		return patch, nil
	}
	if len(into) == 0 && len(patch) == 0 {
		return into, nil
	}
	kind, err := elementKind(into, patch)
	if err != nil {
		return nil, err
	}
	key := about.GetPatchMergeKey()
	var merged []any
	switch {
	case kind != reflect.Map && removes:
		unwanted := placesOf(patch, "")
		return slices.DeleteFunc(into, func(v any) bool { return unwanted.has(v) }), nil
	case kind != reflect.Map:
		merged = unique(into, patch)
	case key == "":
		return nil, fmt.Errorf("cannot merge lists without merge key for %s", below.Name())
	default:
		if into, patch, err = mergeDirectives(into, patch, key); err != nil {
			return nil, err
		}
		if merged, err = mergeKeyed(into, patch, key, below); err != nil {
			return nil, err
		}
	}
	return arrange(merged, patch, into, key, kind)
}

// mergeDirectives carries out the directives among the elements of a patch and returns what is left of both lists.
func mergeDirectives(into, patch []any, key string) (rest, elements []any, err error) {
	replace, removed := false, places{}
	for _, v := range patch {
		element := v.(map[string]any)
		d, ok := element[directive]
		if !ok {
			elements = append(elements, v)
			continue
		}
		switch d {
		case directiveDelete:
			value, ok := element[key]
			if !ok {
				return nil, nil, mergepatch.ErrNoMergeKey(element, key)
			}
			removed.add(value, 0)
		case directiveReplace:
			replace = true
		case directiveMerge:
			return nil, nil, errors.New("merging lists cannot yet be specified in the patch")
		default:
			return nil, nil, mergepatch.ErrBadPatchType(d, element)
		}
	}
	if len(removed) > 0 {
		into = slices.DeleteFunc(into, func(v any) bool {
			value, ok := v.(map[string]any)[key]
			return ok && removed.has(value)
		})
	}
	if replace {
		return elements, nil, nil
	}
	return into, elements, nil
}

// mergeKeyed merges every element of patch into the first of list that has its key, or appends it.
func mergeKeyed(list, patch []any, key string, meta strategicpatch.LookupPatchMeta) ([]any, error) {
	at := placesOf(list, key)
	for _, v := range patch {
		element := v.(map[string]any)
		value, ok := element[key]
		if !ok {
			return nil, mergepatch.ErrNoMergeKey(element, key)
		}
		i, ok := at.find(value)
		if !ok {
			at.add(value, len(list))
			list = append(list, v)
			continue
		}
		merged, err := strategicMap(list[i].(map[string]any), element, meta)
		if err != nil {
			return nil, err
		}
		list[i] = merged
	}
	return list, nil
}

// unique is the elements of both lists, each once.
func unique(lists ...[]any) (out []any) {
	seen := places{}
	for _, list := range lists {
		for _, v := range list {
			if !seen.has(v) {
				seen.add(v, 0)
				out = append(out, v)
			}
		}
	}
	return out
}

// elementKind is the one type that the elements of both lists are of.
func elementKind(lists ...[]any) (reflect.Kind, error) {
	var first reflect.Type
	for _, list := range lists {
		for _, v := range list {
			t := reflect.TypeOf(v)
			switch {
			case first == nil && t == nil:
				return 0, errors.New("a list has an element that is null")
			case first == nil && t.Kind() == reflect.Slice:
				return 0, mergepatch.ErrNoListOfLists
			case first == nil:
				first = t
			case first != t:
				return 0, fmt.Errorf("list element types are not identical: %s", shown(lists))
			}
		}
	}
	if first == nil {
		return 0, errors.New("no elements in any of the given slices")
	}
	return first.Kind(), nil
}

// places is where in a list values are first.
type places map[any]int

// placesOf indexes the elements of a list, or the values of their merge key.
func placesOf(list []any, key string) places {
	p := make(places, len(list))
	for i, v := range list {
		if key == "" {
			p.add(v, i)
		} else if element, ok := v.(map[string]any); ok {
			if value, ok := element[key]; ok {
				p.add(value, i)
			}
		}
	}
	return p
}

func (p places) add(value any, i int) {
	if scalar(value) {
		if _, ok := p[value]; !ok {
			p[value] = i
		}
	}
}

func (p places) find(value any) (int, bool) {
	if !scalar(value) {
		return 0, false
	}
	i, ok := p[value]
	return i, ok
}

func (p places) has(value any) bool {
	_, ok := p.find(value)
	return ok
}

// of is the place of a list's element.
func (p places) of(v any, key string) (int, bool) {
	if element, ok := v.(map[string]any); ok && key != "" {
		v = element[key]
	}
	return p.find(v)
}

// shown is the text of lists in an error, cut where it is long.
func shown(lists [][]any) string {
	const most = 16 << 10 // bytes
	text := fmt.Sprint(lists)
	if len(text) > most {
		text = text[:most] + "..."
	}
	return text
}
