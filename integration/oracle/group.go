package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// group is the differences that have one cause.
type group struct {
	key     string
	count   int
	kinds   []string
	fields  []string // a few of the fields that it was seen at
	example result
	shown   difference // of the example
}

// entry is a difference with its result.
type entry struct {
	result
	difference
}

func (r result) kindName() string {
	if r.kind == nil {
		return "-"
	}
	return r.kind.String()
}

// groupEntries puts differences of one cause together, the most frequent cause first.
func groupEntries(entries []entry) []*group {
	byKey := map[string]*group{}
	var out []*group
	for _, e := range entries {
		key := signature(e.result, e.difference)
		g := byKey[key]
		if g == nil {
			g = &group{key: key, example: e.result, shown: e.difference}
			byKey[key] = g
			out = append(out, g)
		}
		g.count++
		if name := e.kindName(); !slices.Contains(g.kinds, name) {
			g.kinds = append(g.kinds, name)
		}
		if f := maskPath(e.field); f != "" && len(g.fields) < 4 && !slices.Contains(g.fields, f) {
			g.fields = append(g.fields, f)
		}
	}
	slices.SortStableFunc(out, func(a, b *group) int { return cmp.Compare(b.count, a.count) })
	return out
}

// signature is the same for two differences of one cause: no values, no names, no indexes, no field of a failed rule.
func signature(r result, d difference) string {
	if d.path == "code" {
		// A request that Gantry refuses before it looks at the object is one cause, whatever upstream says of the object.
		for _, code := range []string{"404 the server could not", "405 ", "406 ", "415 "} {
			if strings.HasPrefix(d.gantry, code) {
				return "code: gantry " + mask(d.gantry, r.kind)
			}
		}
	}
	if d.path == "header Warning" {
		unquote := strings.NewReplacer(`299 - "`, "", `\"`, `"`)
		d.upstream, d.gantry = unquote.Replace(d.upstream), unquote.Replace(d.gantry)
	}
	if last := d.path[strings.LastIndexByte(d.path, '.')+1:]; last == "message" {
		d.upstream, d.gantry = strings.Trim(d.upstream, `"`), strings.Trim(d.gantry, `"`)
	}
	return maskDocument(d.path) + ": upstream " + mask(d.upstream, r.kind) + ", gantry " + mask(d.gantry, r.kind)
}

var (
	quoted     = regexp.MustCompile(`\\?"(\\.|[^"\\])*\\?"`)
	number     = regexp.MustCompile(`\b\d+(\.\d+)?\b`)
	index      = regexp.MustCompile(`\[(\d+|"[^"]*")\]`)
	goField    = regexp.MustCompile(`Go struct field \S+`)
	goNumber   = regexp.MustCompile(`json: cannot unmarshal (number|string|bool|object|array)( \S+)? into Go`)
	errorField = regexp.MustCompile(`(^|is invalid: |\[|, )[a-z][A-Za-z0-9]*([.\[][^ :]+|)\]?: (?:FieldValue[A-Za-z]+ )?(Invalid value|Required value|Forbidden|Unsupported value|Duplicate value|Too long|Too many|Not found|Internal error)`)
	invalid    = regexp.MustCompile(`Invalid value: (\{.*?\}|\[.*?\]|map\[.*?\]|[^:"]*?): `)
	property   = regexp.MustCompile(`properties\.[^.]+`)
	pathPrefix = regexp.MustCompile(`^(items\[\*\]\.|rows\[\*\]\.object\.|\[\*\]\.object\.(items\[\*\]\.)?)`)
)

func maskPath(path string) string {
	return pathPrefix.ReplaceAllString(index.ReplaceAllString(path, "[*]"), "")
}

// maskDocument is maskPath without the names that OpenAPI documents have as keys.
func maskDocument(path string) string {
	return property.ReplaceAllString(maskPath(path), "properties.*")
}

func mask(s string, k *kind) string {
	switch {
	case strings.HasPrefix(s, "{"):
		return "{..}"
	case strings.HasPrefix(s, "["):
		return "[..]"
	}
	if strings.HasPrefix(s, `"`) {
		return `".."`
	}
	if k != nil {
		s = strings.NewReplacer(k.kind+"."+k.group, "KIND", k.plural+"."+k.group, "KINDS", k.apiVersion(), "VERSION").Replace(s)
		for _, word := range []string{k.kind, k.plural} {
			s = regexp.MustCompile(`\b`+word+`\b`).ReplaceAllString(s, "KIND")
		}
	}
	code := ""
	if len(s) > 4 && strings.Trim(s[:3], "0123456789") == "" {
		code, s = s[:4], s[4:]
	} else if len(s) == 3 {
		return s
	}
	s, _, _ = strings.Cut(s, "\n@@") // the place of a textual comparison
	s = goField.ReplaceAllString(s, "Go struct field F")
	s = goNumber.ReplaceAllString(s, "json: cannot unmarshal $1 into Go")
	s = quoted.ReplaceAllString(s, `".."`)
	s = errorField.ReplaceAllString(s, "${1}F: $3")
	s = invalid.ReplaceAllString(s, "Invalid value: V: ")
	s = index.ReplaceAllString(s, "[*]")
	s = number.ReplaceAllString(s, "N")
	if len(s) > 400 {
		s = s[:400]
	}
	return code + s
}
