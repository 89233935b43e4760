package patch

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The bounds of what Duplicates returns.
const (
	maxDuplicates = 100
	maxPath       = 1 << 10 // bytes of one
)

// Duplicates names the fields that a patch has twice, worded as schema.Decode words them. Apply takes the last
// one; a client that asked for strict field validation is refused.
func Duplicates(patch []byte) []string {
	if shallow(patch) != nil {
		return nil // Apply returns the error
	}
	d := duplicates{scanner: scanner{data: patch}}
	d.readValue()
	return d.found
}

// UnknownMembers names the members of a JSON patch's operations that operations do not have, as Kubernetes words them.
func UnknownMembers(patch []byte) (found []string) {
	var operations []map[string]json.RawMessage
	if shallow(patch) != nil || json.Unmarshal(patch, &operations) != nil {
		return nil // Apply returns the error
	}
	for i, o := range operations {
		for _, name := range slices.Sorted(maps.Keys(o)) {
			switch name {
			case "op", "path", "from", "value":
				continue
			}
			if len(found) == maxDuplicates {
				return found
			}
			found = append(found, fmt.Sprintf("json patch unknown field \"[%d].%s\"", i, name[:min(len(name), maxPath)]))
		}
	}
	return found
}

// duplicates searches for names that an object has twice.
type duplicates struct {
	scanner
	path  []string // of the next value, in pieces
	found []string
}

// readValue reads the next value.
func (d *duplicates) readValue() {
	switch d.peek() {
	case '{':
		d.readObject()
	case '[':
		d.at++
		for i := 0; d.peek() != ']'; i++ {
			d.path = append(d.path, "["+strconv.Itoa(i)+"]")
			d.readValue()
			d.path = d.path[:len(d.path)-1]
			if d.peek() == ',' {
				d.at++
			}
		}
		d.at++
	default:
		d.readText()
	}
}

func (d *duplicates) readObject() {
	var all []member
	var known nameSet
	var reported map[string]bool
	for d.at++; d.peek() != '}'; {
		quoted := d.readText()
		name := quoted[1 : len(quoted)-1]
		if !plainName(quoted) {
			name = []byte(unquote(quoted))
		}
		switch {
		case !known.has(all, name):
			all = append(all, member{name: name})
		case len(d.found) < maxDuplicates && !reported[string(name)]:
			if reported == nil {
				reported = map[string]bool{}
			}
			reported[string(name)] = true
			d.report(string(name))
		}
		d.peek()
		d.at++ // the colon
		if c := d.peek(); c == '{' || c == '[' {
			d.path = append(d.path, "."+string(name))
			d.readValue()
			d.path = d.path[:len(d.path)-1]
		} else {
			d.readText()
		}
		if d.peek() == ',' {
			d.at++
		}
	}
	d.at++
}

func (d *duplicates) report(name string) {
	var path strings.Builder
	for _, piece := range append(d.path[:len(d.path):len(d.path)], "."+name) {
		path.WriteString(piece[:min(len(piece), maxPath-path.Len())])
	}
	text := fmt.Sprintf("duplicate field %q", strings.TrimPrefix(path.String(), "."))
	if !slices.Contains(d.found, text) {
		d.found = append(d.found, text)
	}
}
