package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// change is one difference between two states of an object.
type change struct {
	path     string // spec.template.spec.containers[web].image
	old, new any    // absent{}: the path does not exist
}

type absent struct{}

// maxValueText bounds the text of a value in a change, in characters.
const maxValueText = 60

func (c change) String() string {
	switch {
	case c.old == absent{}:
		return fmt.Sprintf("+ %s: %s", c.path, valueText(c.new))
	case c.new == absent{}:
		return fmt.Sprintf("- %s: %s", c.path, valueText(c.old))
	}
	return fmt.Sprintf("%s: %s -> %s", c.path, valueText(c.old), valueText(c.new))
}

// masked returns c with its values replaced by ***.
func (c change) masked() change {
	if c.old != (absent{}) {
		c.old = "***"
	}
	if c.new != (absent{}) {
		c.new = "***"
	}
	return c
}

// valueText is a value as short text: JSON, or a plain string where it needs no quotes.
func valueText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	s := string(b)
	if str, ok := v.(string); ok && str != "" && !strings.ContainsAny(str, " \t\n\"'\\") {
		s = str
	}
	if r := []rune(s); len(r) > maxValueText {
		return string(r[:maxValueText-3]) + "..."
	}
	return s
}

// changes returns the differences between two JSON values, sorted by path. A list whose elements have a key (listKeys) is compared by
// that key, any other by index.
func changes(path string, old, new any) []change {
	switch o := old.(type) {
	case map[string]any:
		if n, ok := new.(map[string]any); ok {
			return mapChanges(path, o, n)
		}
	case []any:
		if n, ok := new.([]any); ok {
			return mapChanges(path, byListKey(o, n), byListKey(n, o))
		}
	}
	if reflect.DeepEqual(old, new) {
		return nil
	}
	return []change{{path, old, new}}
}

func mapChanges(path string, old, new map[string]any) []change {
	var out []change
	keys := slices.Collect(maps.Keys(old))
	for k := range new {
		if _, both := old[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, byIndexOrName)
	for _, k := range keys {
		o, before := old[k]
		n, after := new[k]
		at := join(path, k)
		switch {
		case before && after:
			out = append(out, changes(at, o, n)...)
		case before:
			out = append(out, change{at, o, absent{}})
		default:
			out = append(out, change{at, absent{}, n})
		}
	}
	return out
}

// byIndexOrName sorts "[10]" after "[9]".
func byIndexOrName(a, b string) int {
	x, errA := strconv.Atoi(strings.Trim(a, "[]"))
	y, errB := strconv.Atoi(strings.Trim(b, "[]"))
	if errA == nil && errB == nil {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

// join appends a key to a path: a.b, a[web], a["app.kubernetes.io/name"].
func join(path, key string) string {
	switch {
	case strings.HasPrefix(key, "["):
		return path + key
	case strings.ContainsAny(key, "./[]") && path != "":
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}

// listKeys are the fields that may identify the elements of a list. The first that every element has, each with another value, does.
var listKeys = []string{"name", "type", "mountPath", "containerPort", "port", "key", "ip", "uid"}

// byListKey makes a map of a list. Its keys are the elements' values of a list key that fits this list and the other, else the indices.
func byListKey(list, other []any) map[string]any {
	out := make(map[string]any, len(list))
	for _, field := range listKeys {
		if identifies(field, list) && identifies(field, other) && len(list)+len(other) > 0 {
			for _, e := range list {
				out[fmt.Sprintf("[%v]", e.(map[string]any)[field])] = e
			}
			return out
		}
	}
	for i, e := range list {
		out[fmt.Sprintf("[%d]", i)] = e
	}
	return out
}

// identifies reports whether every element of a list has the field, each another value.
func identifies(field string, list []any) bool {
	seen := map[any]bool{}
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return false
		}
		switch v := m[field].(type) {
		case string, float64, int64:
			if seen[v] {
				return false
			}
			seen[v] = true
		default:
			return false
		}
	}
	return true
}

// ignoredFields change with every write.
var ignoredFields = []string{"metadata.managedFields", "metadata.resourceVersion", "metadata.generation", "$by"}

// splitStatus parts the changes of an object: those of the desired state, and those of the status.
func splitStatus(all []change) (desired, status []change) {
	for _, c := range all {
		switch root := rootOf(c.path); {
		case slices.Contains(ignoredFields, root):
		case root == "status":
			status = append(status, c)
		default:
			desired = append(desired, c)
		}
	}
	return desired, status
}

// rootOf is the first field of a path; below metadata the first two.
func rootOf(path string) string {
	rest, inMetadata := strings.CutPrefix(path, "metadata.")
	if i := strings.IndexAny(rest, ".["); i >= 0 {
		rest = rest[:i]
	}
	if inMetadata {
		return "metadata." + rest
	}
	return rest
}

// The bounds of a summary of changes of the status: their number, and the characters of a value.
const (
	maxSummary     = 3
	maxSummaryText = 24
)

// summarizeStatus is changes of the status in one line.
func summarizeStatus(status []change) string {
	var parts []string
	for _, c := range status {
		c.path = strings.TrimPrefix(c.path, "status.")
		if s := c.String(); len(parts) < maxSummary && fitsSummary(c) {
			parts = append(parts, s)
		}
	}
	if more := len(status) - len(parts); more > 0 && len(parts) > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	} else if more > 0 { // no change fits: list the fields
		for _, c := range status {
			if field := rootOf(strings.TrimPrefix(c.path, "status.")); !slices.Contains(parts, field) {
				parts = append(parts, field)
			}
		}
	}
	return "status: " + strings.Join(parts, ", ")
}

// fitsSummary reports whether a change is listed in a summary: its values are short, and neither messages nor times.
func fitsSummary(c change) bool {
	last := c.path[strings.LastIndexByte(c.path, '.')+1:]
	return last != "message" && !strings.HasSuffix(last, "Time") &&
		(c.old == absent{} || len(valueText(c.old)) <= maxSummaryText) && (c.new == absent{} || len(valueText(c.new)) <= maxSummaryText)
}
