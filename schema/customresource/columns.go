package customresource

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"

	"gantry/schema"
)

// columns are the columns of the Table of a version and the function of its rows.
func columns(of []apiextensionsv1.CustomResourceColumnDefinition) ([]metav1.TableColumnDefinition, func(schema.Object, metav1.Time) []any, error) {
	if len(of) == 0 {
		of = []apiextensionsv1.CustomResourceColumnDefinition{{
			Name: "Age", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"], JSONPath: ".metadata.creationTimestamp",
		}}
	}
	all := []metav1.TableColumnDefinition{schema.NameColumn()}
	var paths []*jsonpath.JSONPath
	for _, c := range of {
		path, err := parsePath(c.Name, c.JSONPath)
		if err != nil {
			return nil, nil, fmt.Errorf("unrecognized column definition %q", c.JSONPath)
		}
		paths = append(paths, path)
		text := c.Description
		if text == "" {
			text = "Custom resource definition column (in JSONPath format): " + c.JSONPath
		}
		all = append(all, metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Format: c.Format, Description: text, Priority: c.Priority})
	}
	return all, func(obj schema.Object, now metav1.Time) []any {
		u := obj.(*unstructured.Unstructured)
		cells := []any{u.GetName()}
		for i, path := range paths {
			cells = append(cells, cell(all[i+1].Type, path, u.Object, now))
		}
		return cells
	}, nil
}

func parsePath(name, text string) (*jsonpath.JSONPath, error) {
	path := jsonpath.New(name).AllowMissingKeys(true)
	return path, path.Parse("{" + text + "}")
}

// firstAt is the first value at a path; false: there is none, or null.
func firstAt(path *jsonpath.JSONPath, object map[string]any) (any, bool) {
	results, err := path.FindResults(object)
	if err != nil || len(results) == 0 || len(results[0]) == 0 {
		return nil, false
	}
	value := results[0][0].Interface()
	return value, value != nil
}

// cell is the value at a path as a column of a type shows it; nil where it has another type, or there is none.
func cell(columnType string, path *jsonpath.JSONPath, object map[string]any, now metav1.Time) any {
	value, ok := firstAt(path, object)
	if !ok {
		return nil
	}
	switch columnType {
	case "string":
		var text bytes.Buffer
		if path.PrintResults(&text, []reflect.Value{reflect.ValueOf(value)}) != nil {
			return nil
		}
		return text.String()
	case "integer":
		switch n := value.(type) {
		case int64:
			return n
		case float64:
			return int64(n)
		}
	case "number":
		switch n := value.(type) {
		case int64:
			return float64(n)
		case float64:
			if !math.IsNaN(n) && !math.IsInf(n, 0) {
				return n
			}
		}
	case "boolean":
		if b, ok := value.(bool); ok {
			return b
		}
	case "date":
		text, ok := value.(string)
		var at metav1.Time
		switch {
		case !ok:
			return nil
		case at.UnmarshalQueryParameter(text) != nil:
			return "<invalid>"
		}
		return schema.Age(at, now)
	}
	return nil
}

// fields are what field selectors may name.
func fields(of []apiextensionsv1.SelectableField) (all []schema.Field, err error) {
	for _, f := range of {
		path, err := parsePath("selectableField", f.JSONPath)
		if err != nil {
			return nil, fmt.Errorf("unrecognized selectable field %q", f.JSONPath)
		}
		all = append(all, schema.FieldOf(strings.TrimPrefix(f.JSONPath, "."), func(u *unstructured.Unstructured) string {
			value, ok := firstAt(path, u.Object)
			if !ok {
				return ""
			}
			return fmt.Sprint(value)
		}))
	}
	return all, nil
}
