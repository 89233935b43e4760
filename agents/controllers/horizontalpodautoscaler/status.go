package horizontalpodautoscaler

import (
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func metaTime(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

// setStatus replaces all of the status but the time of the last change and the conditions.
func (d *decision) setStatus(current, wanted int32, metrics []autoscalingv2.MetricStatus) {
	s := &d.autoscaler.Status
	*s = autoscalingv2.HorizontalPodAutoscalerStatus{
		CurrentReplicas: current, DesiredReplicas: max(wanted, 0), LastScaleTime: s.LastScaleTime, CurrentMetrics: metrics, Conditions: s.Conditions,
	}
}

// condition replaces a condition; the same status keeps the time of its transition.
func (d *decision) condition(now time.Time, t autoscalingv2.HorizontalPodAutoscalerConditionType, is bool, v verdict) {
	c := autoscalingv2.HorizontalPodAutoscalerCondition{Type: t, Status: corev1.ConditionFalse, Reason: v.reason, Message: v.message, LastTransitionTime: metaTime(now)}
	if is {
		c.Status = corev1.ConditionTrue
	}
	list := d.autoscaler.Status.Conditions
	for i, was := range list {
		if was.Type == t {
			if was.Status == c.Status {
				c.LastTransitionTime = was.LastTransitionTime
			}
			list[i] = c
			return
		}
	}
	d.autoscaler.Status.Conditions = append(list, c)
}
