package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// testCase is one request of the corpus before it is filled in for a kind and a side.
type testCase struct {
	id           string
	method, path string // with {all}, {one}, {name}, {namespace}, {rv}, {uid}, {continue}
	header       http.Header
	body         body
	remove       bool // no request: the kind's object is removed on both sides, finalizers or not
	reset        bool // removed, then made from the example again
	await        int  // no comparison: the request is repeated until both sides answer this code
}

// body is the example or the live object, edited, or a text.
type body struct {
	base  string // "example", "live" or ""
	edits []edit
	text  string // with the same words in braces as the path
}

// values is what the case itself has chosen: servers' answers with these words keep them.
func (b body) values() []any {
	out := []any{b.text}
	for _, e := range b.edits {
		out = append(out, e.value, dotted(e.path))
	}
	return out
}

// readCases reads a file of requests, one a line:
//
//	name | METHOD path | Header: value | body
//
// The body is a text, or `example` or `live` followed by edits, each after a semicolon: `example; spec.replicas=2; spec.x-`.
// A line that begins with `@await 422 | ` is a request that is repeated until both sides answer this code: what a definition says of its kind counts
// after a moment only. A line @remove removes the object, a line @reset makes it anew from the example: what one request changed on one side
// only is then no difference of those that follow.
func readCases(file string) ([]testCase, error) {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []testCase
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if line == "@remove" || line == "@reset" {
			out = append(out, testCase{id: line, remove: true, reset: line == "@reset"})
			continue
		}
		c, err := parseCase(line)
		if code, ok := strings.CutPrefix(c.id, "@await "); ok && err == nil {
			c.await, err = strconv.Atoi(code)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", filepath.Base(file), i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

var headerLine = regexp.MustCompile(`^[A-Z][A-Za-z]*(-[A-Z][A-Za-z]*)*: `)

func parseCase(line string) (testCase, error) {
	parts := strings.Split(line, " | ")
	if len(parts) < 2 {
		return testCase{}, fmt.Errorf("a case is name | METHOD path, not %q", line)
	}
	method, path, _ := strings.Cut(parts[1], " ")
	c := testCase{id: parts[0], method: method, path: path, header: http.Header{}}
	for _, part := range parts[2:] {
		if headerLine.MatchString(part) {
			name, value, _ := strings.Cut(part, ": ")
			c.header.Add(name, value)
			continue
		}
		var err error
		if c.body, err = parseBody(part); err != nil {
			return testCase{}, err
		}
	}
	return c, nil
}

func parseBody(text string) (body, error) {
	base, rest, _ := strings.Cut(text, ";")
	if base != "example" && base != "live" {
		return body{text: text}, nil
	}
	b := body{base: base}
	for _, part := range strings.Split(rest, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if path, ok := strings.CutSuffix(part, "-"); ok && !strings.Contains(part, "=") {
			b.edits = append(b.edits, edit{path: parsePath(path), remove: true})
			continue
		}
		path, value, ok := cutValue(part)
		if !ok {
			return body{}, fmt.Errorf("an edit is path=JSON or path-, not %q", part)
		}
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			return body{}, fmt.Errorf("edit %q: %w", part, err)
		}
		b.edits = append(b.edits, edit{path: parsePath(path), value: v})
	}
	return b, nil
}

// cutValue cuts at the first = outside of brackets.
func cutValue(text string) (path, value string, ok bool) {
	depth := 0
	for i, r := range text {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		case '=':
			if depth == 0 {
				return text[:i], text[i+1:], true
			}
		}
	}
	return text, "", false
}

// generatedCase is a choice as a request; all are dry runs, so both stores stay equal.
func generatedCase(c choice) testCase {
	out := testCase{id: c.id(), header: http.Header{"Content-Type": {typeJSON}}, body: body{base: "live", edits: c.edits}}
	switch c.operation {
	case "create":
		out.method, out.path, out.body.base = "POST", "{all}?dryRun=All", "example"
	case "strict":
		out.method, out.path, out.body.base = "POST", "{all}?dryRun=All&fieldValidation=Strict", "example"
	case "update":
		out.method, out.path = "PUT", "{one}?dryRun=All"
	case "status":
		out.method, out.path = "PUT", "{one}/status?dryRun=All"
	case "merge":
		out.method, out.path, out.body.base = "PATCH", "{one}?dryRun=All", "patch"
		out.header.Set("Content-Type", "application/merge-patch+json")
	case "apply":
		out.method, out.path, out.body.base = "PATCH", "{one}?dryRun=All&fieldManager=oracle&force=true", "example"
		out.header.Set("Content-Type", "application/apply-patch+yaml")
	}
	return out
}
