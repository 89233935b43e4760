package kubelet

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
		if got := cpuShares(requestMilli(&c)); got != maxShares {
			t.Errorf("%s: %d shares, want %d", text, got, maxShares)
		}
		if got := cpuQuota(milli(q)); got != maxMilli*100 {
			t.Errorf("%s: a quota of %d, want %d", text, got, maxMilli*100)
		}
		c.Resources.Limits = nil
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{c, {}}}}
		if got := oomScore(pod, &c, 1<<30); got != 1000+oomCritical {
			t.Errorf("%s: an oom score of %d, want %d", text, got, 1000+oomCritical)
		}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if got := amount(name, list); got < 1<<40 || 500*got < got {
				t.Errorf("%s: %s counts %d", text, name, got)
			}
		}
	}
}
