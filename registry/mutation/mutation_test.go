package mutation_test

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/mutation"
	"gantry/registry/registrytest"
	"gantry/schema/core"

	corev1 "k8s.io/api/core/v1"
)

// TestMutationsAreDetected checks that a change of a shared object is reported with its kind, its key and what was changed.
func TestMutationsAreDetected(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := context.Background()
	for _, name := range []string{"a", "b"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		if _, err := r.Create(ctx, core.Pod, pod, registry.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		it, err := r.Get(ctx, core.Pod, "default", name, "")
		if err != nil {
			t.Fatal(err)
		}
		pod = it.Object().(*corev1.Pod)
		if _ = pod.Spec.Containers[0].Resources.Requests.Cpu().String(); name == "a" {
			pod.Spec.Containers[0].Image = "changed"
		}
	}
	err := mutation.Changed()
	if err == nil || strings.Count(err.Error(), "the cached Pod") != 1 || !strings.Contains(err.Error(), "the cached Pod default/a was changed") || !strings.Contains(err.Error(), `"image":"changed"`) {
		t.Errorf("got %v", err)
	}
	if err := mutation.Changed(); err != nil {
		t.Errorf("reported again: %v", err)
	}
}
