package gitops

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// kind is a custom kind in the shape of another project's.
type kind struct {
	group, name, plural string
	short, categories   []string
	versions            []string // the stored one and older ones, all served and with one schema
	columns             []string // names and paths
	schema              map[string]any
	labels              map[string]any
	noStatus            bool // no subresource
}

// crd is the kind's CustomResourceDefinition.
func (k kind) crd() map[string]any {
	var columns []any
	for i := 0; i < len(k.columns); i += 2 {
		name, path := k.columns[i], k.columns[i+1]
		column := map[string]any{"name": name, "type": "string", "jsonPath": path}
		if strings.HasSuffix(path, "Timestamp") {
			column["type"] = "date"
		}
		columns = append(columns, column)
	}
	root := map[string]any{"type": "object", "description": fmt.Sprintf("%s is in the shape of the kind of this name in %s.", k.name, k.group), "properties": k.schema}
	if _, ok := k.schema["spec"]; ok && k.noStatus {
		root["required"] = []any{"spec"}
	}
	var versions []any
	for i, v := range k.versions {
		version := map[string]any{"name": v, "served": true, "storage": i == 0, "schema": map[string]any{"openAPIV3Schema": root}}
		if columns != nil {
			version["additionalPrinterColumns"] = columns
		}
		if !k.noStatus {
			version["subresources"] = map[string]any{"status": map[string]any{}}
		}
		if i > 0 {
			version["deprecated"], version["deprecationWarning"] = true, fmt.Sprintf("%s %s is deprecated, upgrade to %s", v, k.name, k.versions[0])
		}
		versions = append(versions, version)
	}
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": without(map[string]any{"name": k.plural + "." + k.group, "labels": k.labels}, len(k.labels) == 0, "labels"),
		"spec": map[string]any{"group": k.group, "scope": "Namespaced", "versions": versions, "names": without(without(map[string]any{
			"kind": k.name, "listKind": k.name + "List", "plural": k.plural, "singular": strings.ToLower(k.name), "shortNames": k.short, "categories": k.categories,
		}, k.short == nil, "shortNames"), k.categories == nil, "categories")},
	}
}

// write writes the kinds' manifests to a file, and returns its path.
func write(t *testing.T, kinds []kind) string {
	t.Helper()
	items := make([]any, len(kinds))
	for i, k := range kinds {
		items[i] = k.crd()
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kinds.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parse reads a schema's properties from YAML.
func parse(text string) (properties map[string]any) {
	if err := yaml.Unmarshal([]byte(text), &properties); err != nil {
		panic(err) // a mistake in this package
	}
	return properties
}

func object(properties map[string]any) map[string]any {
	return map[string]any{"type": "object", "properties": properties}
}

func list(of map[string]any) map[string]any { return map[string]any{"type": "array", "items": of} }

// without removes a name from m if its value is empty: with null, kubectl apply finds a change every time.
func without(m map[string]any, empty bool, name string) map[string]any {
	if empty {
		delete(m, name)
	}
	return m
}

// with is properties and more of them, by name.
func with(properties map[string]any, more ...any) map[string]any {
	sum := map[string]any{}
	for name, schema := range properties {
		sum[name] = schema
	}
	for i := 0; i < len(more); i += 2 {
		sum[more[i].(string)] = more[i+1]
	}
	return sum
}
