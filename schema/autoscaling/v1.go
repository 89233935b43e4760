package autoscaling

import (
	"encoding/json"
	"maps"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"gantry/schema/internal/wire"
)

// v1 has fields for the utilization of the CPU. Everything else is in annotations, as JSON: metrics and conditions as v1 has types for
// them, the behavior with the names of Go's fields.

const (
	metricsKey        = "autoscaling.alpha.kubernetes.io/metrics"
	currentMetricsKey = "autoscaling.alpha.kubernetes.io/current-metrics"
	conditionsKey     = "autoscaling.alpha.kubernetes.io/conditions"
	behaviorKey       = "autoscaling.alpha.kubernetes.io/behavior"
)

var v1Annotations = [...]string{
	metricsKey, currentMetricsKey, conditionsKey, behaviorKey,
	"autoscaling.alpha.kubernetes.io/scale-down-tolerance", "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
}

func isCPUUtilization(m *autoscalingv2.MetricSpec) bool {
	return m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Target.AverageUtilization != nil
}

// toV1 is the form in v1. The first CPU utilization has a field; further ones are lost, as in Kubernetes.
func toV1(a *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv1.HorizontalPodAutoscaler {
	spec, status := &a.Spec, &a.Status
	out := &autoscalingv1.HorizontalPodAutoscaler{ObjectMeta: a.ObjectMeta}
	out.Spec = autoscalingv1.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(spec.ScaleTargetRef), MinReplicas: spec.MinReplicas, MaxReplicas: spec.MaxReplicas,
	}
	out.Status = autoscalingv1.HorizontalPodAutoscalerStatus{
		ObservedGeneration: status.ObservedGeneration, LastScaleTime: status.LastScaleTime,
		CurrentReplicas: status.CurrentReplicas, DesiredReplicas: status.DesiredReplicas,
	}
	var others []autoscalingv1.MetricSpec
	for i := range spec.Metrics {
		switch m := &spec.Metrics[i]; {
		case !isCPUUtilization(m):
			others = append(others, metricToV1(m))
		case out.Spec.TargetCPUUtilizationPercentage == nil:
			out.Spec.TargetCPUUtilizationPercentage = m.Resource.Target.AverageUtilization
		}
	}
	var current []autoscalingv1.MetricStatus
	for i := range status.CurrentMetrics {
		m := &status.CurrentMetrics[i]
		current = append(current, currentToV1(m))
		if r := m.Resource; m.Type == autoscalingv2.ResourceMetricSourceType && r != nil && r.Name == corev1.ResourceCPU && r.Current.AverageUtilization != nil {
			out.Status.CurrentCPUUtilizationPercentage = r.Current.AverageUtilization
		}
	}
	notes := map[string]string{}
	annotate(notes, metricsKey, others, len(others))
	annotate(notes, currentMetricsKey, current, len(current))
	annotate(notes, conditionsKey, eachTo(status.Conditions, conditionToV1), len(status.Conditions))
	if spec.Behavior != nil {
		annotate(notes, behaviorKey, behaviorToV1(spec.Behavior), 1)
	}
	if out.Annotations = withoutV1(a.Annotations); len(notes) > 0 {
		maps.Copy(notes, out.Annotations)
		out.Annotations = notes
	}
	return out
}

// annotate adds a value of n parts.
func annotate(notes map[string]string, key string, value any, n int) {
	if n == 0 {
		return
	}
	if text, err := json.Marshal(value); err == nil {
		notes[key] = string(text)
	}
}

// annotated reads an annotation; false where it is absent, cannot be read or would cost without bound.
func annotated(annotations map[string]string, key string, to any) bool {
	text, there := annotations[key]
	if !there || len(wire.TooLarge([]byte(text), to)) > 0 {
		return false
	}
	return kjson.UnmarshalCaseSensitivePreserveInts([]byte(text), to) == nil
}

// fromV1 is the stored form of one in v1. An annotation that cannot be read is ignored.
func fromV1(a *autoscalingv1.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	out := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: a.ObjectMeta}
	out.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(a.Spec.ScaleTargetRef), MinReplicas: a.Spec.MinReplicas, MaxReplicas: a.Spec.MaxReplicas,
	}
	out.Status = autoscalingv2.HorizontalPodAutoscalerStatus{
		ObservedGeneration: a.Status.ObservedGeneration, LastScaleTime: a.Status.LastScaleTime,
		CurrentReplicas: a.Status.CurrentReplicas, DesiredReplicas: a.Status.DesiredReplicas,
	}
	if n := a.Status.CurrentCPUUtilizationPercentage; n != nil {
		out.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
			Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: n},
		}}}
	}
	var others []autoscalingv1.MetricSpec
	if annotated(a.Annotations, metricsKey, &others) {
		for i := range others {
			out.Spec.Metrics = append(out.Spec.Metrics, metricFromV1(&others[i]))
		}
	}
	if n := a.Spec.TargetCPUUtilizationPercentage; n != nil {
		out.Spec.Metrics = append(out.Spec.Metrics, cpuUtilization(*n))
	}
	if len(out.Spec.Metrics) == 0 {
		out.Spec.Metrics = []autoscalingv2.MetricSpec{cpuUtilization(defaultUtilization)}
	}
	out.Spec.Behavior = behaviorFromV1(a.Annotations)
	var current []autoscalingv1.MetricStatus
	if annotated(a.Annotations, currentMetricsKey, &current) {
		out.Status.CurrentMetrics = make([]autoscalingv2.MetricStatus, len(current))
		for i := range current {
			out.Status.CurrentMetrics[i] = currentFromV1(&current[i])
		}
	}
	var conditions []autoscalingv1.HorizontalPodAutoscalerCondition
	if annotated(a.Annotations, conditionsKey, &conditions) {
		out.Status.Conditions = eachTo(conditions, conditionFromV1)
	}
	out.Annotations = withoutV1(a.Annotations)
	return out
}

// eachTo converts a list; nil stays nil.
func eachTo[To, From any](list []From, convert func(From) To) []To {
	if list == nil {
		return nil
	}
	out := make([]To, len(list))
	for i, c := range list {
		out[i] = convert(c)
	}
	return out
}

func conditionToV1(c autoscalingv2.HorizontalPodAutoscalerCondition) autoscalingv1.HorizontalPodAutoscalerCondition {
	return autoscalingv1.HorizontalPodAutoscalerCondition{
		Type: autoscalingv1.HorizontalPodAutoscalerConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
	}
}

func conditionFromV1(c autoscalingv1.HorizontalPodAutoscalerCondition) autoscalingv2.HorizontalPodAutoscalerCondition {
	return autoscalingv2.HorizontalPodAutoscalerCondition{
		Type: autoscalingv2.HorizontalPodAutoscalerConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
	}
}
