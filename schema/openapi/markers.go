package openapi

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

//go:embed markers.txt
var markersText string

// markers is what the comments of the Go types say and reflection can't see, by "<package>.<type>" or
// "<package>.<type>.<json name>".
type markers map[string]*marker

type marker struct {
	listType, mapType string
	listKeys          []string
	enum              []string
	fallback          any // the default
	optional          bool
}

// parseMarkers reads lines of a name and its markers, separated by tabs:
//
//	k8s.io/api/core/v1.ContainerPort.protocol default="TCP"
//	k8s.io/api/core/v1.Container.ports listType=map listMapKey=containerPort listMapKey=protocol
//	k8s.io/api/core/v1.PullPolicy enum=Always enum=IfNotPresent enum=Never
func parseMarkers(text string) (markers, error) {
	all := markers{}
	for line := range strings.Lines(text) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		m := &marker{}
		for _, word := range words[1:] {
			if err := m.set(word); err != nil {
				return nil, fmt.Errorf("reading markers of %s: %w", words[0], err)
			}
		}
		all[words[0]] = m
	}
	return all, nil
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
		m.enum = append(m.enum, value)
	case "default":
		return json.Unmarshal([]byte(value), &m.fallback)
	case "optional":
		m.optional = true
	default:
		return fmt.Errorf("unknown marker %q", word)
	}
	return nil
}

// of is the marker of a type, or of its field where field is set; never nil.
func (all markers) of(t reflect.Type, field string) *marker {
	name := t.PkgPath() + "." + t.Name()
	if field != "" {
		name += "." + field
	}
	if m := all[name]; m != nil {
		return m
	}
	return &marker{}
}

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
	if m.fallback != nil {
		s["default"] = m.fallback
	}
}
