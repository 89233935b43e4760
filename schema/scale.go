package schema

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// Scale says where an object of the stored version keeps what its scale subresource shows, as paths that
// CustomResourceDefinitions write: ".spec.replicas". They lead through objects, not through lists.
type Scale struct {
	SpecReplicas, StatusReplicas string
	// Selector leads to a selector as text, to a LabelSelector or to a map of labels; "": there is none.
	Selector string

	compile sync.Once
	typed   struct{ spec, status, selector [][]int } // for the fields of the Go type, see fieldPath
}

// ScaleBody is the version that scales are read and written in.
var ScaleBody = &Version{
	Group: "autoscaling", Version: "v1", Kind: "Scale",
	New: func() Object { return &autoscalingv1.Scale{} },
	Columns: []metav1.TableColumnDefinition{
		TextColumn("Name", metav1.ObjectMeta{}.SwaggerDoc()["name"]),
		NumberColumn("Desired", autoscalingv1.ScaleSpec{}.SwaggerDoc()["replicas"]),
		NumberColumn("Available", autoscalingv1.ScaleStatus{}.SwaggerDoc()["replicas"]),
		AgeColumn(),
	},
	Row: func(obj Object, now metav1.Time) []any {
		s := obj.(*autoscalingv1.Scale)
		return []any{s.Name, int64(s.Spec.Replicas), int64(s.Status.Replicas), Age(s.CreationTimestamp, now)}
	},
}

// ScaleAt is the row of the scale subresource.
func ScaleAt(specReplicas, statusReplicas, selector string) Subresource {
	return Subresource{
		Name: "scale", Verbs: []string{"get", "patch", "update"}, Body: ScaleBody,
		Scale: &Scale{SpecReplicas: specReplicas, StatusReplicas: statusReplicas, Selector: selector},
	}
}

// Get returns spec replicas, status replicas and the selector as text. What is absent, or no number, is 0; a selector that
// cannot be read is "".
func (s *Scale) Get(obj Object) (spec, status int32, selector string) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return s.getUnstructured(u)
	}
	s.compileFor(obj)
	v := reflect.ValueOf(obj)
	if at, ok := fieldAt(v, s.typed.selector); ok {
		selector = selectorText(at.Addr().Interface())
	}
	return intAt(v, s.typed.spec), intAt(v, s.typed.status), selector
}

// SpecOf is the first of what Get returns.
func (s *Scale) SpecOf(obj Object) int32 {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return numberAt(u, s.SpecReplicas)
	}
	s.compileFor(obj)
	return intAt(reflect.ValueOf(obj), s.typed.spec)
}

// Set changes the spec's replicas.
func (s *Scale) Set(obj Object, replicas int32) error {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return unstructured.SetNestedField(u.Object, int64(replicas), steps(s.SpecReplicas)...)
	}
	s.compileFor(obj)
	v := reflect.ValueOf(obj)
	for _, index := range s.typed.spec {
		if v = madeElem(v); v.Kind() != reflect.Struct {
			break
		}
		v = v.FieldByIndex(index)
	}
	if v.Kind() == reflect.Pointer && v.CanSet() {
		v.Set(reflect.New(v.Type().Elem())) // the old one may be shared
		v = v.Elem()
	}
	if len(s.typed.spec) == 0 || !v.CanInt() {
		return fmt.Errorf("%T has no number at %s", obj, s.SpecReplicas)
	}
	v.SetInt(int64(replicas))
	return nil
}

func (s *Scale) getUnstructured(u *unstructured.Unstructured) (spec, status int32, selector string) {
	if s.Selector != "" {
		found, _, _ := unstructured.NestedFieldNoCopy(u.Object, steps(s.Selector)...)
		selector = selectorText(found)
	}
	return numberAt(u, s.SpecReplicas), numberAt(u, s.StatusReplicas), selector
}

func numberAt(u *unstructured.Unstructured, path string) int32 {
	found, _, _ := unstructured.NestedFieldNoCopy(u.Object, steps(path)...)
	n, _ := found.(int64)
	return int32(min(max(n, math.MinInt32), math.MaxInt32))
}

func steps(path string) []string { return strings.Split(strings.TrimPrefix(path, "."), ".") }

// compileFor finds the fields that the paths lead to in the type of obj, which is always the same.
func (s *Scale) compileFor(obj Object) {
	s.compile.Do(func() {
		t := reflect.TypeOf(obj)
		s.typed.spec, s.typed.status, s.typed.selector = fieldPath(t, s.SpecReplicas), fieldPath(t, s.StatusReplicas), fieldPath(t, s.Selector)
	})
}

// fieldPath is the indexes of the fields that a path leads through, from t on; nil where it leads nowhere.
func fieldPath(t reflect.Type, path string) (out [][]int) {
	if path == "" {
		return nil
	}
	for _, step := range steps(path) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return nil
		}
		f, ok := jsonField(t, step)
		if !ok {
			return nil
		}
		out, t = append(out, f.Index), f.Type
	}
	return out
}

// jsonField is the field of a struct that JSON calls name.
func jsonField(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// fieldAt follows a path of fields; false where a pointer on the way is nil.
func fieldAt(v reflect.Value, path [][]int) (reflect.Value, bool) {
	for _, index := range path {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.FieldByIndex(index)
	}
	return v, len(path) > 0
}

// intAt is the integer that a path of fields leads to, or a pointer to one; 0 where there is none.
func intAt(v reflect.Value, path [][]int) int32 {
	v, ok := fieldAt(v, path)
	if ok && v.Kind() == reflect.Pointer {
		v = v.Elem() // the zero Value where it is nil
	}
	if !ok || !v.IsValid() || !v.CanInt() {
		return 0
	}
	return int32(v.Int())
}

// madeElem is what a pointer points to, made where it is nil; any other value as it is.
func madeElem(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	return v
}

// selectorText is a selector as list requests write it; "" for one that does not parse.
func selectorText(selector any) string {
	switch s := selector.(type) {
	case string:
		return s
	case *string:
		return *s
	case **metav1.LabelSelector:
		return labelSelectorText(*s)
	case *metav1.LabelSelector:
		return labelSelectorText(s)
	case *map[string]string:
		return labels.SelectorFromSet(*s).String()
	case map[string]any:
		return unstructuredSelectorText(s)
	}
	return ""
}

func labelSelectorText(s *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return ""
	}
	return selector.String()
}

// Of is an object as its Scale.
func (s *Scale) Of(obj Object) *autoscalingv1.Scale {
	spec, status, selector := s.Get(obj)
	return &autoscalingv1.Scale{
		TypeMeta: metav1.TypeMeta{Kind: "Scale", APIVersion: "autoscaling/v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(),
			ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp(),
		},
		Spec:   autoscalingv1.ScaleSpec{Replicas: spec},
		Status: autoscalingv1.ScaleStatus{Replicas: status, Selector: selector},
	}
}
