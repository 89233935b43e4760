package autoscaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The behavior as its annotation has it: {"ScaleUp":{"StabilizationWindowSeconds":0,...},"ScaleDown":null}.
type (
	behaviorNote struct{ ScaleUp, ScaleDown *rulesNote }
	rulesNote    struct {
		StabilizationWindowSeconds *int32
		SelectPolicy               *autoscalingv2.ScalingPolicySelect
		Policies                   []policyNote
		Tolerance                  *resource.Quantity
	}
	policyNote struct {
		Type          autoscalingv2.HPAScalingPolicyType
		Value         int32
		PeriodSeconds int32
	}
)

func behaviorToV1(b *autoscalingv2.HorizontalPodAutoscalerBehavior) behaviorNote {
	return behaviorNote{rulesToV1(b.ScaleUp), rulesToV1(b.ScaleDown)}
}

func rulesToV1(r *autoscalingv2.HPAScalingRules) *rulesNote {
	if r == nil {
		return nil
	}
	return &rulesNote{
		r.StabilizationWindowSeconds, r.SelectPolicy, eachTo(r.Policies, func(p autoscalingv2.HPAScalingPolicy) policyNote { return policyNote(p) }), r.Tolerance,
	}
}

// behaviorFromV1 reads the annotation; the names may be those of v2's JSON as well. nil where there is none.
func behaviorFromV1(annotations map[string]string) *autoscalingv2.HorizontalPodAutoscalerBehavior {
	var note behaviorNote
	if !annotated(annotations, behaviorKey, &note) {
		return nil
	}
	b := autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: rulesFromV1(note.ScaleUp), ScaleDown: rulesFromV1(note.ScaleDown)}
	if b.ScaleUp == nil && b.ScaleDown == nil && (!annotated(annotations, behaviorKey, &b) || b.ScaleUp == nil && b.ScaleDown == nil) {
		return nil
	}
	return &b
}

func rulesFromV1(r *rulesNote) *autoscalingv2.HPAScalingRules {
	if r == nil {
		return nil
	}
	return &autoscalingv2.HPAScalingRules{
		StabilizationWindowSeconds: r.StabilizationWindowSeconds, SelectPolicy: r.SelectPolicy, Tolerance: r.Tolerance,
		Policies: eachTo(r.Policies, func(p policyNote) autoscalingv2.HPAScalingPolicy { return autoscalingv2.HPAScalingPolicy(p) }),
	}
}
