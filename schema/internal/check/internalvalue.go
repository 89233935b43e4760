package check

import (
	"reflect"
	"slices"
	"strings"
)

// InternalValue is a value as errors of Kubernetes show it, which are about its internal types: every field is there, by its Go name. Fields
// come in the order of the internal type. Types of other modules, as metav1's, are shown as they are. v has no cycles.
func InternalValue(v any) any {
	if v == nil {
		return nil
	}
	from := reflect.ValueOf(v)
	to := reflect.New(internalType(from.Type())).Elem()
	internalValue(to, from)
	return to.Interface()
}

// isAPIStruct tells whether t is a struct of k8s.io/api.
func isAPIStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), "k8s.io/api/")
}

// internalType is t without the tags of the fields of its structs.
func internalType(t reflect.Type) reflect.Type {
	switch {
	case t.Kind() == reflect.Pointer:
		return reflect.PointerTo(internalType(t.Elem()))
	case t.Kind() == reflect.Slice:
		return reflect.SliceOf(internalType(t.Elem()))
	case !isAPIStruct(t):
		return t
	}
	return reflect.StructOf(internalFields(t))
}

// moved are the fields that internal types have elsewhere than those of k8s.io/api: right after another field.
var moved = map[string][]struct{ field, after string }{
	"PersistentVolumeSource": {{"Quobyte", "RBD"}, {"FlexVolume", "ISCSI"}},
	"VolumeSource":           {{"Quobyte", "RBD"}},
}

// internalFields are the fields of a struct; those of an embedded one are its own.
func internalFields(t reflect.Type) (fields []reflect.StructField) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && isAPIStruct(f.Type) {
			fields = append(fields, internalFields(f.Type)...)
		} else {
			fields = append(fields, reflect.StructField{Name: f.Name, Type: internalType(f.Type)})
		}
	}
	for _, m := range moved[t.Name()] {
		at := func(name string) int {
			return slices.IndexFunc(fields, func(f reflect.StructField) bool { return f.Name == name })
		}
		f := fields[at(m.field)]
		fields = slices.Delete(fields, at(m.field), at(m.field)+1)
		fields = slices.Insert(fields, at(m.after)+1, f)
	}
	return fields
}

func internalValue(to, from reflect.Value) {
	switch t := from.Type(); {
	case t == to.Type():
		to.Set(from)
	case t.Kind() == reflect.Pointer && !from.IsNil():
		to.Set(reflect.New(to.Type().Elem()))
		internalValue(to.Elem(), from.Elem())
	case t.Kind() == reflect.Slice && !from.IsNil():
		to.Set(reflect.MakeSlice(to.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			internalValue(to.Index(i), from.Index(i))
		}
	case isAPIStruct(t):
		setFields(to, from)
	}
}

func setFields(to, from reflect.Value) {
	for i := range from.NumField() {
		if f := from.Type().Field(i); f.Anonymous && isAPIStruct(f.Type) {
			setFields(to, from.Field(i))
		} else {
			internalValue(to.FieldByName(f.Name), from.Field(i))
		}
	}
}
