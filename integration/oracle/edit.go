package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// edit changes one field of a document.
type edit struct {
	path   []string // keys; numbers are indexes of lists
	value  any
	remove bool
}

// String is like spec.replicas=-1 or spec.replicas removed; long values are shortened, with their length.
func (e edit) String() string {
	if e.remove {
		return dotted(e.path) + " removed"
	}
	text, err := json.Marshal(e.value)
	if err != nil {
		return dotted(e.path) + " " + err.Error()
	}
	if len(text) > 60 {
		return fmt.Sprintf("%s=%s...(%d bytes)", dotted(e.path), text[:40], len(text))
	}
	return dotted(e.path) + "=" + string(text)
}

func dotted(path []string) string {
	var b strings.Builder
	for i, k := range path {
		switch _, err := strconv.Atoi(k); {
		case err == nil:
			b.WriteString("[" + k + "]")
		case i == 0:
			b.WriteString(k)
		default:
			b.WriteString("." + k)
		}
	}
	return b.String()
}

// parsePath is the reverse of dotted; keys with dots are written as a["x.y/z"].
func parsePath(text string) []string {
	var out []string
	for text != "" {
		text = strings.TrimPrefix(text, ".")
		if rest, ok := strings.CutPrefix(text, `["`); ok {
			key, after, _ := strings.Cut(rest, `"]`)
			out, text = append(out, key), after
			continue
		}
		if rest, ok := strings.CutPrefix(text, "["); ok {
			key, after, _ := strings.Cut(rest, "]")
			out, text = append(out, key), after
			continue
		}
		end := strings.IndexAny(text, ".[")
		if end < 0 {
			end = len(text)
		}
		out, text = append(out, text[:end]), text[end:]
	}
	return out
}

// apply returns doc with the edits made; doc itself stays as it is. Missing maps and lists on the way are made.
func apply(doc any, edits ...edit) any {
	for _, e := range edits {
		doc = applyOne(doc, e.path, e)
	}
	return doc
}

func applyOne(doc any, path []string, e edit) any {
	if len(path) == 0 {
		return e.value
	}
	if i, err := strconv.Atoi(path[0]); err == nil {
		list, _ := doc.([]any)
		if e.remove && len(path) == 1 {
			if i < len(list) {
				return slices.Delete(slices.Clone(list), i, i+1)
			}
			return doc
		}
		list = slices.Clone(list)
		for len(list) <= i {
			list = append(list, nil)
		}
		list[i] = applyOne(list[i], path[1:], e)
		return list
	}
	m, _ := doc.(map[string]any)
	if e.remove && m[path[0]] == nil {
		return doc
	}
	m = maps.Clone(m)
	if m == nil {
		m = map[string]any{}
	}
	if e.remove && len(path) == 1 {
		delete(m, path[0])
		return m
	}
	m[path[0]] = applyOne(m[path[0]], path[1:], e)
	return m
}

// lookUp is the value at path, or nil.
func lookUp(doc any, path ...string) any {
	for _, k := range path {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[k]
		case []any:
			i, err := strconv.Atoi(k)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}

// lookUpString is the string at path, or "".
func lookUpString(doc any, path ...string) string {
	s, _ := lookUp(doc, path...).(string)
	return s
}
