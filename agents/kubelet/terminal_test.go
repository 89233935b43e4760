package kubelet

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema/pods"
)

// A pod past its deadline is Failed once its containers have ended, not before: who waits for its place would find it taken.
func TestDeadlineOfAPod(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("slow", nil, "stubborn")
	r.untilRunning("slow")
	if _, err := registry.For[*corev1.Pod](r.api).Modify(t.Context(), "default", "slow", func(p *corev1.Pod) error {
		one := int64(1) // it is over already, or soon
		p.Spec.ActiveDeadlineSeconds = &one
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	pod := r.untilEnded("slow", corev1.PodFailed)
	if pod.Status.Reason != "DeadlineExceeded" || pod.Status.Message != "Pod was active on the node longer than the specified deadline" {
		t.Errorf("%s: %s", pod.Status.Reason, pod.Status.Message)
	}
}

// untilEnded waits until a pod has ended, which no pod may with a container running.
func (r *testCluster) untilEnded(name string, phase corev1.PodPhase) *corev1.Pod {
	r.Helper()
	return r.until(name, string(phase)+", nothing of it running", func(p *corev1.Pod) bool {
		if p == nil || !pods.IsTerminal(p) {
			return false
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if c.State.Running != nil {
				r.Fatalf("pod %s is %s while %s runs", name, p.Status.Phase, c.Name)
			}
		}
		return p.Status.Phase == phase
	})
}
