package workload_test

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
)

// TestRejectedPodsAreReplacedWithBackoff has a node that rejects every pod, for two minutes: a deployment leaves as many failed pods as
// the back-off allows. Then the node accepts.
func TestRejectedPodsAreReplacedWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		reject := func(p *corev1.Pod) bool {
			_, _ = registry.For[*corev1.Pod](c.Registry).ModifyStatus(c.Context, p.Namespace, p.Name, func(m *corev1.Pod) error {
				m.Status.Phase, m.Status.Reason, m.Status.Message = corev1.PodFailed, "NodePorts", "Pod was rejected"
				return nil
			})
			return true
		}
		c.Broken.Store(&reject)
		c.Ready()
		c.Apply(controllertest.ReplicaSet)
		failed := func() (n int) {
			for _, p := range controllertest.List[*corev1.Pod](c, "default", "app=web") {
				if p.Status.Phase == corev1.PodFailed {
					n++
				}
			}
			return n
		}
		time.Sleep(2 * time.Second)
		if n := failed(); n < 2 || n > 4 {
			t.Errorf("%d pods failed in two seconds, want two rounds of two at most", n)
		}
		time.Sleep(2 * time.Minute)
		if n := failed(); n < 8 || n > 16 {
			t.Errorf("%d pods failed in two minutes, want two a round of 1, 2, 4, 8, 16, 32 and 64 s", n)
		}
		c.Broken.Store(nil)
		time.Sleep(5 * time.Minute)
		running := 0
		for _, p := range controllertest.List[*corev1.Pod](c, "default", "app=web") {
			if p.Status.Phase == corev1.PodRunning {
				running++
			}
		}
		if running != 2 {
			t.Errorf("%d pods run after the node accepts, want 2", running)
		}
	})
}
