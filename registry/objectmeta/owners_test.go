package objectmeta_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/objectmeta"
)

func TestDropRepeatedOwners(t *testing.T) {
	yes, also, no := true, true, false
	of := func(name string, controller *bool) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: "1", Controller: controller}
	}
	const text = ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
	for _, tt := range []struct {
		name string
		in   []metav1.OwnerReference
		kept []int
		want string
	}{
		{"none", nil, nil, ""},
		{"two of one uid", []metav1.OwnerReference{of("a", nil), of("b", nil), of("a", &no), of("a", &yes)}, []int{0, 1, 2, 3}, ""},
		{"repeated", []metav1.OwnerReference{of("a", &yes), of("b", nil), of("a", &also), of("b", nil)}, []int{0, 1}, text + "1, 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: slices.Clone(tt.in)}}
			if got := objectmeta.DropRepeatedOwners(pod, false); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(pod.OwnerReferences) != len(tt.kept) {
				t.Fatalf("kept %v", pod.OwnerReferences)
			}
			for i, n := range tt.kept {
				if pod.OwnerReferences[i] != tt.in[n] {
					t.Errorf("kept %v", pod.OwnerReferences)
				}
			}
		})
	}
}
