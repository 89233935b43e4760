package autoscaling

import (
	"maps"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/schema"
	"gantry/schema/core"
)

// HorizontalPodAutoscaler is the kind of horizontalpodautoscalers.
var HorizontalPodAutoscaler = &schema.Kind{
	Version: schema.Version{
		Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler",
		New:     func() schema.Object { return &autoscalingv2.HorizontalPodAutoscaler{} },
		NewList: func() runtime.Object { return &autoscalingv2.HorizontalPodAutoscalerList{} },
		Columns: autoscalerColumns, Row: autoscalerRow,
		Default: schema.Preparation(defaultAutoscaler),
	},
	Versions: []*schema.Version{{
		Group: "autoscaling", Version: "v1", Kind: "HorizontalPodAutoscaler",
		New:      func() schema.Object { return &autoscalingv1.HorizontalPodAutoscaler{} },
		NewList:  func() runtime.Object { return &autoscalingv1.HorizontalPodAutoscalerList{} },
		ToStored: schema.EachTo(fromV1), FromStored: schema.EachTo(toV1),
		Default: schema.Preparation(func(a *autoscalingv1.HorizontalPodAutoscaler) { core.SetIfNil(&a.Spec.MinReplicas, 1) }),
		Columns: autoscalerColumns,
		Row: func(obj schema.Object, now metav1.Time) []any {
			return autoscalerRow(fromV1(obj.(*autoscalingv1.HorizontalPodAutoscaler)), now)
		},
	}},
	Plural: "horizontalpodautoscalers", Singular: "horizontalpodautoscaler", ShortNames: []string{"hpa"}, Categories: []string{"all"},
	Namespaced: true,
	Prefix:     "horizontalpodautoscalers",

	Subresources:        []schema.Subresource{schema.Status(prepareAutoscalerStatus, validateAutoscalerStatus)},
	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate: schema.Preparation(func(a *autoscalingv2.HorizontalPodAutoscaler) {
		a.Status = autoscalingv2.HorizontalPodAutoscalerStatus{}
	}),
	PrepareUpdate:  schema.UpdatePreparation(func(a, old *autoscalingv2.HorizontalPodAutoscaler) { a.Status = old.Status }),
	Validate:       schema.Validation(validateAutoscaler),
	ValidateUpdate: schema.UpdateValidation(validateAutoscalerUpdate),
}

func prepareAutoscalerStatus(a, old *autoscalingv2.HorizontalPodAutoscaler) { a.Spec = old.Spec }

const defaultUtilization = 80 // percent

// cpuUtilization is the one metric that v1 has a field for.
func cpuUtilization(percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
		Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
	}}
}

func defaultAutoscaler(a *autoscalingv2.HorizontalPodAutoscaler) {
	a.Annotations = withoutV1(a.Annotations)
	core.SetIfNil(&a.Spec.MinReplicas, 1)
	if len(a.Spec.Metrics) == 0 {
		a.Spec.Metrics = []autoscalingv2.MetricSpec{cpuUtilization(defaultUtilization)}
	}
	b := a.Spec.Behavior
	if b == nil {
		return
	}
	const seconds = 15
	double := autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: seconds}
	defaultRules(&b.ScaleUp, autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: seconds}, double)
	core.SetIfNil(&b.ScaleUp.StabilizationWindowSeconds, 0)
	defaultRules(&b.ScaleDown, double)
}

func defaultRules(r **autoscalingv2.HPAScalingRules, policies ...autoscalingv2.HPAScalingPolicy) {
	core.SetIfNil(r, autoscalingv2.HPAScalingRules{})
	core.SetIfNil(&(*r).SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	if (*r).Policies == nil {
		(*r).Policies = policies
	}
}

// withoutV1 are annotations without those in which v1 keeps what it has no fields for.
func withoutV1(annotations map[string]string) map[string]string {
	out := annotations
	for _, key := range v1Annotations {
		if _, there := out[key]; !there {
			continue
		}
		if len(out) == len(annotations) {
			out = maps.Clone(annotations)
		}
		delete(out, key)
	}
	return out
}
