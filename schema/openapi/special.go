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
		return object{"type": "string", "format": "date-time", "description": "A time of whole seconds, RFC 3339."}
	case reflect.TypeFor[metav1.MicroTime]():
		return object{"type": "string", "format": "date-time", "description": "A time of microseconds, RFC 3339."}
	case reflect.TypeFor[metav1.Duration]():
		return object{"type": "string", "description": "A duration as Go writes it: 1h30m, 250ms."}
	case reflect.TypeFor[runtime.RawExtension]():
		return object{"type": "object", "description": "An object of any kind."}
	case reflect.TypeFor[metav1.FieldsV1]():
		return object{"type": "object", "description": "A set of fields as a trie: a key f:<name> is a field, k:<keys> and v:<value> an element of a list, a dot the node itself."}
	case reflect.TypeFor[resource.Quantity]():
		return either(v3, object{"type": "string", "description": "An amount: a number with an optional suffix, binary (Ki, Mi, Gi, Ti, Pi, Ei) or decimal (n, u, m, k, M, G, T, P, E), or an exponent (e3). 100m of CPU is a tenth of a core."},
			"string", "number")
	case reflect.TypeFor[intstr.IntOrString]():
		return either(v3, object{"type": "string", "format": "int-or-string", "description": "A number or a text, such as 8080 or \"http\", 1 or \"25%\"."},
			"integer", "string")
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
