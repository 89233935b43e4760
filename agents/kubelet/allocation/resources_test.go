package allocation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestLargeAmounts: nothing overflows that is calculated of what no machine has.
func TestLargeAmounts(t *testing.T) {
	for _, text := range []string{"9223372036854775807", "8Ei", "1e18"} {
		q := resource.MustParse(text)
		list := corev1.ResourceList{corev1.ResourceCPU: q, corev1.ResourceMemory: q}
		c := corev1.Container{Resources: corev1.ResourceRequirements{Requests: list, Limits: list}}
		if got := EngineResources(&c); got.CPURequest != maxMilli || got.CPULimit != maxMilli {
			t.Errorf("%s: %d and %d thousandths of a CPU, want %d", text, got.CPURequest, got.CPULimit, maxMilli)
		}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if got := amount(name, list); got < 1<<40 || 500*got < got {
				t.Errorf("%s: %s counts %d", text, name, got)
			}
		}
	}
}
