package engine

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestLargeAmounts: nothing overflows that is calculated of what no machine has.
func TestLargeAmounts(t *testing.T) {
	const milli = 1 << 40
	if got := cpuShares(milli); got != maxShares {
		t.Errorf("%d shares, want %d", got, maxShares)
	}
	if got := cpuQuota(milli); got != milli*100 {
		t.Errorf("a quota of %d, want %d", got, milli*100)
	}
	for _, text := range []string{"9223372036854775807", "8Ei", "1e18"} {
		c := corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(text)}}}
		if got := oomScore(&corev1.Pod{}, &c, corev1.PodQOSBurstable, 1<<30); got != 1000+oomCritical {
			t.Errorf("%s: an oom score of %d, want %d", text, got, 1000+oomCritical)
		}
	}
}
