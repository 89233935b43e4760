package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// answer is a response without what differs between any two servers.
type answer struct {
	code     int
	headers  map[string]string
	body     any
	indented bool
}

// comparedHeaders are the headers that clients see; the others (Date, Audit-Id, ...) differ by nature.
var comparedHeaders = []string{"Content-Type", "Warning", "Cache-Control", "Location", "Retry-After", "Allow", "Www-Authenticate"}

func normalise(r *response, tree any, sent []byte) answer {
	out := answer{code: r.code, headers: map[string]string{}, indented: isJSON(r) && bytes.Contains(r.body, []byte("\n  "))}
	for _, name := range comparedHeaders {
		if v := r.header[http.CanonicalHeaderKey(name)]; len(v) > 0 {
			out.headers[name] = normaliseText(strings.Join(v, "\n"))
		}
	}
	n := &normaliser{sent: string(sent)}
	out.body = n.value(tree, nil)
	return out
}

// isJSON tells whether an answer is JSON: lines of YAML are broken in many ways.
func isJSON(r *response) bool { return strings.HasPrefix(r.header.Get("Content-Type"), typeJSON) }

// normaliser replaces what the server chose by words like <uid>. What the client has sent is kept.
type normaliser struct{ sent string }

var (
	uuidText    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	timeText    = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?Z| ?[+-]\d{2}:?\d{2}( UTC)?)?( m=[+-][0-9.]+)?`)
	addressText = regexp.MustCompile(`\b10\.96\.\d+\.\d+\b`)
	pointerText = regexp.MustCompile(`0x[0-9a-fA-F]{6,}|0x[0-9a-f]+\b`)
	revision    = regexp.MustCompile(`(?i)(resource ?version:? "?|rv=|revision )\d+`)
	ageText     = regexp.MustCompile(`^(\d+[smhd])+$`)
	accessName  = regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`)
	patchValue  = regexp.MustCompile(`^Invalid value: "(\\.|[^"\\])*": `)
	objectValue = regexp.MustCompile(`(?s)^(Invalid|Duplicate|Unsupported) value: [{\[].*[}\]]`)
	kindMissing = regexp.MustCompile(`(?s)Object 'Kind' is missing in '.*'`) // the object as it is stored
	hostPort    = regexp.MustCompile(`192\.0\.2\.\d+:\d+|127\.0\.0\.1:\d+`)
	storageKey  = regexp.MustCompile(`Key: /(upstream|second|registry)/`)
	nodePort    = regexp.MustCompile(`:3[0-2]\d{3}/`)
	largeRV     = regexp.MustCompile(`(Too large resource version: |current: |, current |in record \(|in object meta: )\d+`)
)

func normaliseText(s string) string {
	s = kindMissing.ReplaceAllString(s, "Object 'Kind' is missing in <object>")
	s = uuidText.ReplaceAllString(s, "<uid>")
	s = timeText.ReplaceAllString(s, "<time>")
	s = pointerText.ReplaceAllString(s, "<pointer>")
	s = accessName.ReplaceAllString(s, "kube-api-access-<generated>")
	s = hostPort.ReplaceAllString(s, "<address>")
	s = storageKey.ReplaceAllString(s, "Key: /registry/")
	s = nodePort.ReplaceAllString(s, ":<port>/")
	s = largeRV.ReplaceAllString(s, "$1<rv>")
	return revision.ReplaceAllString(s, "$1<rv>")
}

// sentPrefix finds the generateName of the values that a case has sent.
var sentPrefix = regexp.MustCompile(`"([^"\\]+)","metadata\.generateName"`)

// keep tells whether the client has sent the text.
func (n *normaliser) keep(s string) bool { return s != "" && strings.Contains(n.sent, s) }

func (n *normaliser) value(v any, path []string) any {
	switch v := v.(type) {
	case map[string]any:
		return n.object(v, path)
	case []any:
		out := make([]any, 0, len(v))
		for i := range v {
			if !isProgress(v[i]) {
				out = append(out, n.value(v[i], append(path, "*")))
			}
		}
		return out
	case string:
		return n.text(v, path)
	}
	if port, ok := v.(json.Number); ok && last(path) == "nodePort" && len(port) == 5 && !n.keep(string(port)) {
		return "<port>"
	}
	return v
}

func (n *normaliser) object(v map[string]any, path []string) any {
	out := make(map[string]any, len(v))
	for _, key := range slices.Sorted(maps.Keys(v)) {
		out[key] = n.value(v[key], append(slices.Clone(path), key))
	}
	if message, ok := out["message"].(string); ok && out["field"] != nil {
		out["message"] = normaliseCause(message, out["field"] == "patch")
	}
	if message, ok := out["message"].(string); ok && lookUp(out, "details", "causes") != nil {
		if before, _, ok := strings.Cut(message, " is invalid: "); ok {
			out["message"] = before + " is invalid: " + causesWord
		}
	}
	prefix, _ := v["generateName"].(string)
	if name, _ := v["name"].(string); prefix != "" && strings.HasPrefix(name, prefix) && !n.keep(`"`+name+`"`) {
		out["name"] = prefix + "<generated>"
	}
	if fields, ok := out["managedFields"].([]any); ok && last(path) == "metadata" {
		// Their order is that of their times, which are whole seconds.
		slices.SortStableFunc(fields, func(a, b any) int { return cmp.Compare(managerKey(a), managerKey(b)) })
	}
	for _, key := range []string{"resourceRules", "nonResourceRules"} {
		if rules, ok := out[key].([]any); ok && last(path) == "status" {
			// Reviews list the rules in the order of a map.
			slices.SortFunc(rules, func(a, b any) int { return cmp.Compare(describe(a, true), describe(b, true)) })
		}
	}
	if v["kind"] == "Table" {
		normaliseAges(out)
	}
	return out
}

// causesWord stands for the causes in the message of a Status that lists them too.
const causesWord = "<causes>"

// normaliseCause drops what upstream prints of its internal Go types: a refused object, the patched one, a comparison.
func normaliseCause(message string, patch bool) string {
	if patch {
		message = patchValue.ReplaceAllString(message, "Invalid value: <object>: ")
	}
	message = objectValue.ReplaceAllString(message, "$1 value: <object>")
	message, _, _ = strings.Cut(message, "\n@@")
	return message
}

func managerKey(entry any) string {
	return lookUpString(entry, "manager") + " " + lookUpString(entry, "operation") + " " + lookUpString(entry, "subresource")
}

// isProgress tells whether a watch event is a bookmark that comes now and then.
func isProgress(event any) bool {
	return lookUpString(event, "type") == "BOOKMARK" && lookUpString(event, "object", "metadata", "annotations", "k8s.io/initial-events-end") == ""
}

// normaliseAges replaces ages like 3s in a table's cells.
func normaliseAges(table map[string]any) {
	rows, _ := table["rows"].([]any)
	for _, row := range rows {
		cells, _ := lookUp(row, "cells").([]any)
		for i := range cells {
			if s, ok := cells[i].(string); ok && ageText.MatchString(s) {
				cells[i] = "<age>"
			}
		}
	}
}

func (n *normaliser) text(s string, path []string) any {
	switch last(path) {
	case "resourceVersion":
		if strings.Trim(s, "0123456789") == "" && s != "" && s != "0" {
			return "<rv>"
		}
	case "continue":
		if s != "" {
			return "<continue>"
		}
	case "token":
		if strings.Count(s, ".") == 2 {
			return "<token>"
		}
	}
	s = addressText.ReplaceAllStringFunc(s, func(address string) string {
		if n.keep(address) {
			return address
		}
		return "<address>"
	})
	if uuidText.MatchString(s) && n.keep(s) {
		return s
	}
	if m := sentPrefix.FindStringSubmatch(n.sent); m != nil {
		s = regexp.MustCompile(`(^|")`+regexp.QuoteMeta(m[1])+`[a-z0-9]{5}("|$)`).ReplaceAllString(s, "${1}"+m[1]+"<generated>$2")
	}
	if timeText.MatchString(s) && n.keep(s) && last(path) != "creationTimestamp" {
		return s
	}
	return normaliseText(s)
}

func last(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[len(path)-1]
}
