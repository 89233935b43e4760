package framework

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestRequestsAboveTheBound: requests at the end of the range, alone and added up, are maxRequest, which no node has.
func TestRequestsAboveTheBound(t *testing.T) {
	for _, text := range []string{"9223372036854775807", "9223372036854775807000m", "8Ei", "1e18", "300T"} {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, "example.com/gpu"} {
			pod := &corev1.Pod{}
			for range 3 {
				list := corev1.ResourceList{name: resource.MustParse(text)}
				pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Resources: corev1.ResourceRequirements{Requests: list}})
				r := RequestsOf(pod)
				if got := max(r.CPU, r.Memory, r.Storage, r.Extended[name]); got != maxRequest {
					t.Errorf("%d containers ask for %s of %s: %d, want %d", len(pod.Spec.Containers), text, name, got, maxRequest)
				}
			}
		}
	}
}
