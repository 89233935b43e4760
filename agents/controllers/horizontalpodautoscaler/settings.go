package horizontalpodautoscaler

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

const (
	// syncPeriod is how often an autoscaler is reconciled.
	syncPeriod = 15 * time.Second
	// askTimeout bounds the questions for an autoscaler's metrics.
	askTimeout = 20 * time.Second
	// scaleDownWindow is for how long recommendations hold back a scale-down, where the autoscaler says nothing else.
	scaleDownWindow = 5 * time.Minute
	// defaultTolerance is by how much a metric may differ from its target, as a fraction, without an effect.
	defaultTolerance = 0.1
	// cpuInitialization is how long after a pod's start its use of CPU is left out while the pod is not ready.
	cpuInitialization = 5 * time.Minute
	// initialReadiness is how long after a pod's start a change to not ready counts as the first one.
	initialReadiness = 30 * time.Second
)

// tolerances are by how much a metric may be below and above its target, as a fraction.
type tolerances struct{ down, up float64 }

func tolerancesOf(a *autoscalingv2.HorizontalPodAutoscaler) tolerances {
	t := tolerances{defaultTolerance, defaultTolerance}
	if b := a.Spec.Behavior; b != nil {
		if b.ScaleDown != nil && b.ScaleDown.Tolerance != nil {
			t.down = max(b.ScaleDown.Tolerance.AsApproximateFloat64(), 0)
		}
		if b.ScaleUp != nil && b.ScaleUp.Tolerance != nil {
			t.up = max(b.ScaleUp.Tolerance.AsApproximateFloat64(), 0)
		}
	}
	return t
}

// within returns whether a ratio of usage to target has no effect.
func (t tolerances) within(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }
