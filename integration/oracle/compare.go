package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// difference is one thing that two answers do not share.
type difference struct {
	path             string // code, reason, message, cause, header X, indentation, or the field of the object
	field            string // of a cause
	upstream, gantry string
}

const absent = "absent"

// compare lists the differences, the gravest only where the answers are of another sort altogether.
func compare(up, ga answer) []difference {
	if up.code != ga.code {
		return []difference{{path: "code", field: firstField(up, ga), upstream: outcome(up), gantry: outcome(ga)}}
	}
	var out []difference
	if isStatus(up.body) && isStatus(ga.body) {
		out = compareStatus(up.body, ga.body)
	} else {
		out = compareTrees("", up.body, ga.body, nil)
	}
	for _, name := range comparedHeaders {
		if a, b := up.headers[name], ga.headers[name]; a != b {
			out = append(out, difference{path: "header " + name, upstream: orAbsent(a), gantry: orAbsent(b)})
		}
	}
	if up.indented != ga.indented && len(out) == 0 {
		out = append(out, difference{path: "indentation", upstream: strconv.FormatBool(up.indented), gantry: strconv.FormatBool(ga.indented)})
	}
	return out
}

func isStatus(body any) bool { return lookUpString(body, "kind") == "Status" }

// outcome is an answer's code and, of a failure, its message.
func outcome(a answer) string {
	text := strconv.Itoa(a.code)
	if isStatus(a.body) && a.code >= 400 {
		var list []string
		for _, c := range causes(a.body) {
			list = append(list, c.field+": "+c.text)
		}
		return text + " " + strings.Replace(lookUpString(a.body, "message"), causesWord, strings.Join(list, ", "), 1)
	}
	if s, ok := a.body.(string); ok && a.code >= 400 || a.code == 0 {
		return text + " " + short(s)
	}
	return text
}

func firstField(up, ga answer) string {
	for _, a := range []answer{up, ga} {
		if f := lookUpString(a.body, "details", "causes", "0", "field"); f != "" {
			return f
		}
	}
	return ""
}

// compareStatus compares causes one by one, so that one missing rule is one difference.
func compareStatus(up, ga any) []difference {
	a, b := causes(up), causes(ga)
	missing, extra := minus(a, b), minus(b, a)
	if len(missing)+len(extra) == 0 && fieldsOf(a) == fieldsOf(b) {
		if !slices.Equal(a, b) {
			return nil // the keys of a map are checked in any order
		}
		return compareTrees("", up, ga, nil)
	}
	var out []difference
	for _, c := range missing {
		d := difference{path: "cause", field: c.field, upstream: c.text, gantry: absent}
		for i, e := range extra {
			if e.field == c.field {
				d.gantry = e.text
				extra = slices.Delete(extra, i, i+1)
				break
			}
		}
		out = append(out, d)
	}
	for _, c := range extra {
		out = append(out, difference{path: "cause", field: c.field, upstream: absent, gantry: c.text})
	}
	if len(out) == 0 {
		out = append(out, difference{path: "order of causes", field: a[0].field, upstream: fieldsOf(a), gantry: fieldsOf(b)})
	}
	return out
}

type cause struct{ field, text string } // text: reason and message

func causes(status any) []cause {
	list, _ := lookUp(status, "details", "causes").([]any)
	var out []cause
	for _, c := range list {
		out = append(out, cause{lookUpString(c, "field"), lookUpString(c, "reason") + " " + lookUpString(c, "message")})
	}
	return out
}

func fieldsOf(causes []cause) string {
	var out []string
	for _, c := range causes {
		out = append(out, c.field)
	}
	return strings.Join(out, ", ")
}

// minus is what a has more often than b.
func minus(a, b []cause) []cause {
	rest := slices.Clone(b)
	var out []cause
	for _, c := range a {
		if i := slices.Index(rest, c); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		out = append(out, c)
	}
	return out
}

const mostDifferences = 12 // of one answer's fields

func compareTrees(path string, up, ga any, out []difference) []difference {
	if len(out) >= mostDifferences || reflect.DeepEqual(up, ga) {
		return out
	}
	switch a := up.(type) {
	case map[string]any:
		b, ok := ga.(map[string]any)
		if !ok {
			break
		}
		keys := map[string]bool{}
		for k := range a {
			keys[k] = true
		}
		for k := range b {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			x, inA := a[k]
			y, inB := b[k]
			at := strings.TrimPrefix(path+"."+k, ".")
			if inA != inB {
				out = append(out, difference{path: at, upstream: describe(x, inA), gantry: describe(y, inB)})
				continue
			}
			if k == "managedFields" && managers(x) != managers(y) {
				out = append(out, difference{path: at + " managers", upstream: managers(x), gantry: managers(y)})
				continue
			}
			out = compareTrees(at, x, y, out)
		}
		return out
	case []any:
		b, ok := ga.([]any)
		if !ok {
			break
		}
		if len(a) != len(b) {
			return append(out, difference{path: path, upstream: fmt.Sprintf("%d items %s", len(a), describe(a, true)), gantry: fmt.Sprintf("%d items %s", len(b), describe(b, true))})
		}
		for i := range a {
			out = compareTrees(fmt.Sprintf("%s[%d]", path, i), a[i], b[i], out)
		}
		return out
	}
	return append(out, difference{path: path, upstream: describe(up, true), gantry: describe(ga, true)})
}

// managers are the entries of managedFields by name: "kubectl Apply, web Update status".
func managers(fields any) string {
	list, _ := fields.([]any)
	var out []string
	for _, entry := range list {
		out = append(out, strings.TrimSpace(managerKey(entry)))
	}
	return strings.Join(out, ", ")
}

func describe(v any, there bool) string {
	if !there {
		return absent
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func orAbsent(s string) string {
	if s == "" {
		return absent
	}
	return s
}

func notServed(k *kind) difference {
	if k.onUpstream {
		return difference{path: "served", upstream: "yes", gantry: "no"}
	}
	return difference{path: "served", upstream: "no", gantry: "yes"}
}

func short(s string) string {
	s = strings.ReplaceAll(s, "\n", `\n`)
	if len(s) > 240 {
		return s[:240] + "..."
	}
	return s
}
