package schema

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func errorTexts(errs field.ErrorList) (list []string) {
	for _, e := range errs {
		list = append(list, e.Error())
	}
	return list
}

func TestValidateMeta(t *testing.T) {
	pods, nodes, _ := testKinds()
	for _, tt := range []struct {
		name string
		kind *Kind
		in   metav1.ObjectMeta
		want []string
	}{
		{"valid", pods, metav1.ObjectMeta{Name: "a", Namespace: "b"}, nil},
		{"no name, no namespace", pods, metav1.ObjectMeta{}, []string{"metadata.name: Required value: name or generateName is required", "metadata.namespace: Required value"}},
		{"a namespace too many", nodes, metav1.ObjectMeta{Name: "a", Namespace: "b"}, []string{"metadata.namespace: Forbidden: not allowed on this type"}},
		{"a name that is a path", nodes, metav1.ObjectMeta{Name: "a/b"}, []string{`metadata.name: Invalid value: "a/b": may not contain '/'`}},
		{"finalizer", nodes, metav1.ObjectMeta{Name: "a", Finalizers: []string{"mine", "x/y"}},
			[]string{`metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified`}},
		{"deep managed fields", nodes, metav1.ObjectMeta{Name: "a", ManagedFields: []metav1.ManagedFieldsEntry{
			{Operation: "Apply", FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(strings.Repeat(`{"f:a":`, MaxDepth) + "{}" + strings.Repeat("}", MaxDepth))}},
		}}, []string{`metadata.managedFields[0].fieldsV1: Invalid value: "": nested deeper than 200 levels`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			obj := tt.kind.New()
			switch o := obj.(type) {
			case *corev1.Pod:
				o.ObjectMeta = tt.in
			case *corev1.Node:
				o.ObjectMeta = tt.in
			}
			if diff := cmp.Diff(tt.want, errorTexts(ValidateMeta(tt.kind, obj))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateMetaUpdate(t *testing.T) {
	pods, _, _ := testKinds()
	old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "b", UID: "1", ResourceVersion: "5", Finalizers: []string{"byhand"}}}
	pod := old.DeepCopy()
	if got := errorTexts(ValidateMetaUpdate(pods, pod, old, MetaOfUpdate)); got != nil {
		t.Errorf("a finalizer that was there: %q", got)
	}
	named := *pods
	named.ValidateName = apivalidation.NameIsDNSSubdomain
	pod.UID, pod.Finalizers, pod.GenerateName, pod.Labels = "2", []string{"byhand", "new"}, "A", map[string]string{"l": "*"}
	const (
		uid       = `metadata.uid: Invalid value: "2": field is immutable`
		finalizer = `metadata.finalizers[1]: Invalid value: "new": name is neither a standard finalizer name nor is it fully qualified`
		label     = `metadata.labels: Invalid value: "*": a valid label`
		generate  = `metadata.generateName: Invalid value: "A": a lowercase`
	)
	for _, tt := range []struct {
		name string
		in   MetaChecks
		want []string
	}{
		{"none", MetaOfNone, []string{label, uid, label}},
		{"of the update", MetaOfUpdate, []string{label, uid, label, uid, label, finalizer}},
		{"of the create", MetaOfCreate, []string{label, uid, label, generate, label, finalizer}},
		{"of both", MetaOfBoth, []string{label, uid, label, uid, label, finalizer, generate, label, finalizer}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := errorTexts(ValidateMetaUpdate(&named, pod, old, tt.in))
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("error %d: %q, want %q", i, got[i], want)
				}
			}
		})
	}
}
