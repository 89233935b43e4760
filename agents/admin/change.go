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
	old, new any    // absent{}: not there
}

type absent struct{}

// maxText is how long a value may be in a line of change.
const maxText = 60

func (c change) String() string {
	switch {
	case c.old == absent{}:
		return fmt.Sprintf("+ %s: %s", c.path, text(c.new))
	case c.new == absent{}:
		return fmt.Sprintf("- %s: %s", c.path, text(c.old))
	}
	return fmt.Sprintf("%s: %s -> %s", c.path, text(c.old), text(c.new))
}

// masked is a change of which the values are not told.
func (c change) masked() change {
	if c.old != (absent{}) {
		c.old = "***"
	}
	if c.new != (absent{}) {
		c.new = "***"
	}
	return c
}

// text is a value in a few words.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	s := string(b)
	if str, ok := v.(string); ok && str != "" && !strings.ContainsAny(str, " \t\n\"'\\") {
		s = str
	}
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText-3]) + "..."
	}
	return s
}

// changes are the differences between two JSON values, in the order of their paths. A list of objects with names is
// compared by name, not by place.
func changes(path string, old, new any) []change {
	switch o := old.(type) {
	case map[string]any:
		if n, ok := new.(map[string]any); ok {
			return mapChanges(path, o, n)
		}
	case []any:
		if n, ok := new.([]any); ok {
			return mapChanges(path, byName(o, n), byName(n, o))
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

// join is a path and its next step: a.b, a[web], a["app.kubernetes.io/name"].
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

// identities are the fields that name the elements of a list, the first that all elements have, each with another value.
var identities = []string{"name", "type", "mountPath", "containerPort", "port", "key", "ip", "uid"}

// byName makes a map of a list, whose keys are its elements' names where they, and other's, have some, or their places.
func byName(list, other []any) map[string]any {
	out := make(map[string]any, len(list))
	for _, field := range identities {
		if named(list, field) && named(other, field) && len(list)+len(other) > 0 {
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

// named tells whether every element has the field, each another value.
func named(list []any, field string) bool {
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

// noise are the fields whose change says nothing of its own.
var noise = []string{"metadata.managedFields", "metadata.resourceVersion", "metadata.generation", "$by"}

// sorted parts the changes of an object: what somebody wanted, and what was observed (status).
func sorted(all []change) (wanted, status []change) {
	for _, c := range all {
		switch root := rootOf(c.path); {
		case slices.Contains(noise, root):
		case root == "status":
			status = append(status, c)
		default:
			wanted = append(wanted, c)
		}
	}
	return wanted, status
}

// rootOf is the first step of a path, or the first two below metadata.
func rootOf(path string) string {
	rest, deep := strings.CutPrefix(path, "metadata.")
	if i := strings.IndexAny(rest, ".["); i >= 0 {
		rest = rest[:i]
	}
	if deep {
		return "metadata." + rest
	}
	return rest
}

// A summary names so many changes of the status, with values so long, and none of texts and times.
const (
	maxSummary     = 3
	maxSummaryText = 24
)

// summary is changes of the status in one line: those that say most.
func summary(status []change) string {
	var parts []string
	for _, c := range status {
		c.path = strings.TrimPrefix(c.path, "status.")
		if s := c.String(); len(parts) < maxSummary && telling(c) {
			parts = append(parts, s)
		}
	}
	if more := len(status) - len(parts); more > 0 && len(parts) > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	} else if more > 0 { // nothing can be told in short: which fields
		for _, c := range status {
			if field := rootOf(strings.TrimPrefix(c.path, "status.")); !slices.Contains(parts, field) {
				parts = append(parts, field)
			}
		}
	}
	return "status: " + strings.Join(parts, ", ")
}

// telling tells whether a change is worth a place in a summary.
func telling(c change) bool {
	last := c.path[strings.LastIndexByte(c.path, '.')+1:]
	return last != "message" && !strings.HasSuffix(last, "Time") &&
		(c.old == absent{} || len(text(c.old)) <= maxSummaryText) && (c.new == absent{} || len(text(c.new)) <= maxSummaryText)
}
