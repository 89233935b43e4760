package controller_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/core"
)

// Whatever a controller does with a kind that its row does not declare is refused and reported; what it declares is done.
func TestUndeclaredKindsAreRefused(t *testing.T) {
	unrestricted, _ := registrytest.New(t)
	undeclared := 0
	row := &controller.Controller{Name: "test", Reads: controller.Only(core.Secret), Writes: controller.Only(core.ConfigMap)}
	r := controller.Restrict(unrestricted, row, nil, func(error) { undeclared++ })
	ctx, ended := context.WithCancel(t.Context())
	ended() // Follow returns
	meta := metav1.ObjectMeta{Namespace: "default", Name: "x"}
	objects := map[*schema.Kind]schema.Object{core.Secret: &corev1.Secret{ObjectMeta: meta}, core.ConfigMap: &corev1.ConfigMap{ObjectMeta: meta}}
	same := func(obj schema.Object) (schema.Object, error) { return obj, nil }
	reads := map[string]func(k *schema.Kind) error{
		"Get":    func(k *schema.Kind) error { _, err := r.Get(t.Context(), k, "default", "x", ""); return err },
		"List":   func(k *schema.Kind) error { _, err := r.List(t.Context(), k, "", registry.ListOptions{}); return err },
		"Owned":  func(k *schema.Kind) error { _, err := r.Owned(t.Context(), k, "1"); return err },
		"Follow": func(k *schema.Kind) error { return r.Follow(ctx, k, func(registry.Change) {}) },
	}
	writes := map[string]func(k *schema.Kind) error{
		"Create": func(k *schema.Kind) error {
			_, err := r.Create(t.Context(), k, objects[k], registry.WriteOptions{})
			return err
		},
		"Update": func(k *schema.Kind) error {
			_, err := r.Update(t.Context(), k, objects[k], registry.WriteOptions{})
			return err
		},
		"Modify": func(k *schema.Kind) error {
			_, err := r.Modify(t.Context(), k, "default", "x", same, registry.WriteOptions{})
			return err
		},
		"Delete": func(k *schema.Kind) error {
			_, _, err := r.Delete(t.Context(), k, "default", "x", registry.DeleteOptions{})
			return err
		},
	}
	check := func(calls map[string]func(k *schema.Kind) error, declared, other *schema.Kind) {
		for name, call := range calls {
			undeclared = 0
			if err := call(other); err == nil || errors.Is(err, registry.NotFound) || undeclared != 1 {
				t.Errorf("%s of %s: %v, reported %d times; want a refusal, reported once", name, other.Plural, err, undeclared)
			}
			undeclared = 0
			if _ = call(declared); undeclared != 0 {
				t.Errorf("%s of %s is reported as undeclared", name, declared.Plural)
			}
		}
	}
	check(reads, core.Secret, core.ConfigMap)
	check(writes, core.ConfigMap, core.Secret)
	if list, err := unrestricted.List(t.Context(), core.Secret, "", registry.ListOptions{}); err != nil || len(list.Items) != 0 {
		t.Errorf("%d secrets were written: %v", len(list.Items), err)
	}
	if controller.Every().None() || !controller.Every().Has(core.Pod) || (controller.Kinds{}).Has(core.Pod) || !(controller.Kinds{}).None() {
		t.Error("Every is not every kind, or the zero value is not none")
	}
}
