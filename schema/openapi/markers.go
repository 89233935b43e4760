package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

//go:embed markers.txt
var markersText string

// markers is what the comments of the Go types say and reflection can't see, by "<package>.<type>" or
// "<package>.<type>.<json name>". Lines are read when they are first needed.
type markers struct {
	lines map[string]string
	read  map[string]*marker
}

type marker struct {
	listType, mapType  string
	listKeys           []string
	enum               []string
	enumTexts          []string // what the values mean
	fallback           any      // the default
	optional, required bool
	gap                bool            // an empty line more stands before the values of an enum
	text               *string         // the description, where SwaggerDoc has another or none
	unions             json.RawMessage // x-kubernetes-unions
}

// readMarkers knows lines of a name and its markers, separated by tabs:
//
//	k8s.io/api/core/v1.ContainerPort.protocol default="TCP"
//	k8s.io/api/core/v1.Container.ports listType=map listMapKey=containerPort listMapKey=protocol
//	k8s.io/api/core/v1.PullPolicy enum=Always|means that.. enum=IfNotPresent|means.. enum=Never|means..
//	k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime text="MicroTime is.."
func readMarkers(text string) *markers {
	all := &markers{lines: make(map[string]string, strings.Count(text, "\n")), read: map[string]*marker{}}
	for line := range strings.Lines(text) {
		name, words, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all.lines[name] = words
	}
	return all
}

func parseMarker(words string) (*marker, error) {
	m := &marker{}
	for word := range strings.SplitSeq(words, "\t") {
		if err := m.set(word); err != nil {
			return nil, fmt.Errorf("reading the marker %s: %w", word, err)
		}
	}
	return m, nil
}

func (m *marker) set(word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "listType":
		m.listType = value
	case "mapType", "structType":
		m.mapType = value
	case "listMapKey":
		m.listKeys = append(m.listKeys, value)
	case "enum":
		value, text, _ := strings.Cut(value, "|")
		m.enum = append(m.enum, value)
		m.enumTexts = append(m.enumTexts, text)
	case "default":
		return json.Unmarshal([]byte(value), &m.fallback)
	case "optional":
		m.optional = true
	case "required":
		m.required = true
	case "gap":
		m.gap = true
	case "text":
		return json.Unmarshal([]byte(value), &m.text)
	case "unions":
		m.unions = json.RawMessage(value)
	default:
		return fmt.Errorf("unknown marker %q", word)
	}
	return nil
}

// of is the marker of a type, or of its field where field is set; never nil.
func (all *markers) of(t reflect.Type, field string) *marker {
	name := t.PkgPath() + "." + t.Name()
	if field != "" {
		name += "." + field
	}
	if m := all.read[name]; m != nil {
		return m
	}
	words, ok := all.lines[name]
	if !ok {
		return &noMarker
	}
	m, err := parseMarker(words)
	if err != nil {
		panic(err) // a test reads every line
	}
	all.read[name] = m
	return m
}

// noMarker is that of types and fields without one; it is read-only.
var noMarker marker

// extend adds what the marker says to a schema.
func (m *marker) extend(s object) {
	if m.listType != "" {
		s["x-kubernetes-list-type"] = m.listType
	}
	if len(m.listKeys) > 0 {
		s["x-kubernetes-list-map-keys"] = m.listKeys
	}
	if m.mapType != "" {
		s["x-kubernetes-map-type"] = m.mapType
	}
	if len(m.enum) > 0 {
		s["enum"] = m.enum
	}
	if len(m.unions) > 0 {
		s["x-kubernetes-unions"] = m.unions
	}
	if m.fallback != nil {
		s["default"] = m.fallback
	}
}

// description is that of a value or type of which SwaggerDoc says doc.
func (m *marker) description(doc string) string {
	if m.text != nil {
		return *m.text
	}
	return doc
}

// describeEnum adds the values of an enum to the description of a field of it.
func (m *marker) describeEnum(description string, gap bool) string {
	if len(m.enumTexts) == 0 {
		return description
	}
	if gap {
		description += "\n"
	}
	lines := make([]string, len(m.enum))
	for i, value := range m.enum {
		lines[i] = strings.TrimRight(fmt.Sprintf(" - `%q` %s", value, m.enumTexts[i]), " ")
	}
	slices.Sort(lines)
	return strings.TrimLeft(description+"\n\nPossible enum values:\n"+strings.Join(lines, "\n"), "\n")
}
