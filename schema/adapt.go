package schema

import "k8s.io/apimachinery/pkg/util/validation/field"

// The functions of a Kind take an Object; rules are written for the concrete type. These adapt one to the other by an unchecked type
// assertion: a Kind gets only objects of its own type.

// Preparation adapts a function of one object, as Default and PrepareCreate are.
func Preparation[T Object](f func(T)) func(Object) {
	return func(obj Object) { f(obj.(T)) }
}

// UpdatePreparation adapts a function of an object and the one it replaces, as PrepareUpdate is.
func UpdatePreparation[T Object](f func(obj, old T)) func(obj, old Object) {
	return func(obj, old Object) { f(obj.(T), old.(T)) }
}

// Validation adapts a validation of one object.
func Validation[T Object](f func(T) field.ErrorList) func(Object) field.ErrorList {
	return func(obj Object) field.ErrorList { return f(obj.(T)) }
}

// UpdateValidation adapts a validation of an object and the one it replaces.
func UpdateValidation[T Object](f func(obj, old T) field.ErrorList) func(obj, old Object) field.ErrorList {
	return func(obj, old Object) field.ErrorList { return f(obj.(T), old.(T)) }
}

// Warnings adapts a Warnings function; on a create it gets the zero T (a nil pointer) as old.
func Warnings[T Object](f func(obj, old T) []string) func(obj, old Object) []string {
	return func(obj, old Object) []string {
		o, _ := old.(T)
		return f(obj.(T), o)
	}
}

// FieldOf is a selectable field and how to read it.
func FieldOf[T Object](path string, value func(T) string) Field {
	return Field{Path: path, Value: func(obj Object) string { return value(obj.(T)) }}
}
