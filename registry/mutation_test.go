package registry

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/store"
)

// TestMutationsAreDetected: a change of an object that the cache handed out is told with its kind, key and what was changed.
func TestMutationsAreDetected(t *testing.T) {
	s := store.NewFake()
	put(t, s, "/registry/pods/n/a", podJSON("n", "a", ""))
	put(t, s, "/registry/pods/n/b", podJSON("n", "b", ""))
	r := testRegistry(t, s)
	for _, name := range []string{"a", "b"} {
		it, err := r.Get(testContext(t), podKind, "n", name, "")
		if err != nil {
			t.Fatal(err)
		}
		pod := it.Object().(*corev1.Pod)
		if _ = pod.Spec.Containers[0].Resources.Requests.Cpu().String(); name == "a" {
			pod.Spec.Containers[0].Image = "changed"
		}
	}
	err := Mutations()
	if err == nil || strings.Count(err.Error(), "the cached Pod") != 1 || !strings.Contains(err.Error(), "the cached Pod n/a was changed") || !strings.Contains(err.Error(), `"image":"changed"`) {
		t.Errorf("got %v", err)
	}
	if err := Mutations(); err != nil {
		t.Errorf("told again: %v", err)
	}
}
