package openapi

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// specialModel is the model of a struct that is not written as an object of its fields; nil for the others.
func specialModel(t reflect.Type, v3 bool) object {
	switch t {
	case reflect.TypeFor[metav1.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[metav1.MicroTime]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[metav1.Duration]():
		return object{"type": "string"}
	case reflect.TypeFor[runtime.RawExtension]():
		return object{"type": "object"}
	case reflect.TypeFor[metav1.FieldsV1]():
		return object{"type": "object"}
	case reflect.TypeFor[resource.Quantity]():
		return either(v3, object{"type": "string"},
			"string", "number")
	case reflect.TypeFor[intstr.IntOrString]():
		return either(v3, object{"type": "string", "format": "int-or-string"},
			"integer", "string")
	}
	of, ok := reflect.Zero(t).Interface().(interface{ OpenAPISchemaType() []string })
	if ok && len(of.OpenAPISchemaType()) == 0 {
		return object{} // anything: the schemas of custom kinds have such
	}
	return nil
}

// either lets a schema of version 3 have one of two types; version 2 can't say so.
func either(v3 bool, s object, types ...string) object {
	if !v3 {
		return s
	}
	delete(s, "type")
	var oneOf []any
	for _, t := range types {
		oneOf = append(oneOf, object{"type": t})
	}
	s["oneOf"] = oneOf
	return s
}
