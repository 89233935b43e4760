package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"gantry/schema"
)

func kindsByName() map[string]*schema.Kind {
	all := map[string]*schema.Kind{}
	for _, k := range []*schema.Kind{Pod, Service, Node, Namespace, Endpoints, ConfigMap, Secret, ServiceAccount, Event} {
		all[k.Kind] = k
	}
	return all
}

// errorCase is one object and what is wrong with it.
type errorCase[T any] struct {
	name string
	in   func(T)
	want []string
}

func texts(errs field.ErrorList) (list []string) {
	for _, e := range errs {
		list = append(list, e.Error())
	}
	return list
}

// runValidate validates base(), changed by each case's in.
func runValidate[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases []errorCase[T]) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			obj := base()
			if tt.in != nil {
				tt.in(obj)
			}
			if k.Default != nil {
				k.Default(obj)
			}
			if diff := cmp.Diff(tt.want, texts(k.Validate(obj))); diff != "" {
				t.Errorf("Validate (-want +got):\n%s", diff)
			}
		})
	}
}

// runValidateUpdate validates base(), changed by each case's in, replacing base().
func runValidateUpdate[T schema.Object](t *testing.T, k *schema.Kind, base func() T, cases []errorCase[T]) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			old, obj := base(), base()
			tt.in(obj)
			if k.Default != nil {
				k.Default(old)
				k.Default(obj)
			}
			if diff := cmp.Diff(tt.want, texts(k.ValidateUpdate(obj, old))); diff != "" {
				t.Errorf("ValidateUpdate (-want +got):\n%s", diff)
			}
		})
	}
}

func parse[T any](t testing.TB, text string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func ptr[T any](v T) *T { return &v }

func simplePod() *corev1.Pod {
	pod := &corev1.Pod{}
	pod.Name, pod.Namespace = "web", "default"
	pod.Spec.Containers = []corev1.Container{{Name: "c", Image: "nginx:1"}}
	return pod
}
