package main

import (
	"bytes"
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
	out := answer{code: r.code, headers: map[string]string{}, indented: bytes.Contains(r.body, []byte("\n  "))}
	for _, name := range comparedHeaders {
		if v := r.header[http.CanonicalHeaderKey(name)]; len(v) > 0 {
			out.headers[name] = normaliseText(strings.Join(v, "\n"))
		}
	}
	n := &normaliser{sent: string(sent)}
	out.body = n.value(tree, nil)
	return out
}

// normaliser replaces what the server chose by words like <uid>. What the client has sent is kept.
type normaliser struct{ sent string }

var (
	uuidText    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	timeText    = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?Z| ?[+-]\d{2}:?\d{2}( UTC)?)?( m=[+-][0-9.]+)?`)
	addressText = regexp.MustCompile(`\b10\.96\.\d+\.\d+\b`)
	pointerText = regexp.MustCompile(`0x[0-9a-fA-F]{6,}|0x[0-9a-f]+\b`)
	revision    = regexp.MustCompile(`(?i)(resource ?version:? "?|rv=|revision )\d+`)
	ageText     = regexp.MustCompile(`^(\d+[smhd])+$`)
	largeRV     = regexp.MustCompile(`(Too large resource version: |current: |, current )\d+`)
)

func normaliseText(s string) string {
	s = uuidText.ReplaceAllString(s, "<uid>")
	s = timeText.ReplaceAllString(s, "<time>")
	s = pointerText.ReplaceAllString(s, "<pointer>")
	s = largeRV.ReplaceAllString(s, "$1<rv>")
	return revision.ReplaceAllString(s, "$1<rv>")
}

// keep tells whether the client has sent the text.
func (n *normaliser) keep(s string) bool { return s != "" && strings.Contains(n.sent, s) }

func (n *normaliser) value(v any, path []string) any {
	switch v := v.(type) {
	case map[string]any:
		return n.object(v, path)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = n.value(v[i], append(path, "*"))
		}
		if last(path) == "rows" {
			return out
		}
		return out
	case string:
		return n.text(v, path)
	}
	return v
}

func (n *normaliser) object(v map[string]any, path []string) any {
	out := make(map[string]any, len(v))
	for _, key := range slices.Sorted(maps.Keys(v)) {
		out[key] = n.value(v[key], append(slices.Clone(path), key))
	}
	prefix, _ := v["generateName"].(string)
	if name, _ := v["name"].(string); prefix != "" && strings.HasPrefix(name, prefix) && !n.keep(`"`+name+`"`) {
		out["name"] = prefix + "<generated>"
	}
	if v["kind"] == "Table" {
		normaliseAges(out)
	}
	return out
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
	case "clusterIP", "ip", "*", "clusterIPs":
		if addressText.MatchString(s) && !n.keep(s) {
			return "<address>"
		}
	}
	if uuidText.MatchString(s) && n.keep(s) {
		return s
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
