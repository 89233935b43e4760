package lifecycle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/plantest"
)

func TestEvictionPlans(t *testing.T) {
	seconds := func(s int64) *int64 { return &s }
	tolerating := func(ts ...corev1.Toleration) plantest.PodOption {
		return func(p *corev1.Pod) { p.Spec.Tolerations = ts }
	}
	exists := func(key string, s *int64) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: s}
	}
	unreachable := []corev1.Taint{{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute}}
	tests := []struct {
		name    string
		pod     *corev1.Pod
		evicted bool
		after   time.Duration
	}{
		{"tolerates nothing", plantest.MakePod("a"), true, 0},
		{"tolerates for ever", plantest.MakePod("a", tolerating(exists("", nil))), false, 0},
		{"tolerates five minutes", plantest.MakePod("a", tolerating(exists(corev1.TaintNodeUnreachable, seconds(300)))), false, 200 * time.Second},
		{"tolerated long enough", plantest.MakePod("a", tolerating(exists(corev1.TaintNodeUnreachable, seconds(100)))), true, 0},
		{"the shortest counts", plantest.MakePod("a", tolerating(exists("", nil), exists(corev1.TaintNodeUnreachable, seconds(150)))), false, 50 * time.Second},
		{"another taint", plantest.MakePod("a", tolerating(exists(corev1.TaintNodeNotReady, nil))), true, 0},
		{"no time at all", plantest.MakePod("a", tolerating(exists("", seconds(-5)))), true, 0},
		{"going already", plantest.MakePod("a", plantest.Deleting), false, 0},
		{"ended", plantest.MakePod("a", plantest.Phase(corev1.PodSucceeded)), false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			since := &taintedNode{taints: map[string]time.Time{corev1.TaintNodeUnreachable: plantest.Now.Add(-100 * time.Second)}, pods: map[types.UID]time.Time{}}
			plan, after := planEviction(unreachable, []*corev1.Pod{tt.pod}, since, plantest.Now)
			if got := len(plan) > 0; got != tt.evicted || after != tt.after {
				t.Errorf("evicted %v, again after %s, want %v, %s", got, after, tt.evicted, tt.after)
			}
		})
	}
}
