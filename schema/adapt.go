package schema

import "k8s.io/apimachinery/pkg/util/validation/field"

// The functions of a Kind take an Object; rules are written for the concrete type. These adapt one to the other by an unchecked type
// assertion: a Kind gets only objects of its own type.

// Do adapts a function of one object, as Default and PrepareCreate are.
func Do[T Object](f func(T)) func(Object) {
	return func(obj Object) { f(obj.(T)) }
}

// Do2 adapts a function of an object and the one it replaces, as PrepareUpdate is.
func Do2[T Object](f func(obj, old T)) func(obj, old Object) {
	return func(obj, old Object) { f(obj.(T), old.(T)) }
}

// Check adapts a validation of one object.
func Check[T Object](f func(T) field.ErrorList) func(Object) field.ErrorList {
	return func(obj Object) field.ErrorList { return f(obj.(T)) }
}

// Check2 adapts a validation of an object and the one it replaces.
func Check2[T Object](f func(obj, old T) field.ErrorList) func(obj, old Object) field.ErrorList {
	return func(obj, old Object) field.ErrorList { return f(obj.(T), old.(T)) }
}

// Warn adapts a Warnings function; on a create it gets the zero T (a nil pointer) as old.
func Warn[T Object](f func(obj, old T) []string) func(obj, old Object) []string {
	return func(obj, old Object) []string {
		o, _ := old.(T)
		return f(obj.(T), o)
	}
}

// FieldOf is a selectable field and how to read it.
func FieldOf[T Object](path string, value func(T) string) Field {
	return Field{Path: path, Value: func(obj Object) string { return value(obj.(T)) }}
}
