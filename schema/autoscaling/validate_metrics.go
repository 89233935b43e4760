package autoscaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

// sourceTypes are in the order that errors name them.
var sourceTypes = []autoscalingv2.MetricSourceType{
	autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType, autoscalingv2.ObjectMetricSourceType,
	autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType,
}

func checkMetrics(f *check.Errors, spec *autoscalingv2.HorizontalPodAutoscalerSpec, r referenceRules, p *field.Path) {
	measured := false // by something that is there without pods
	for i := range spec.Metrics {
		m := &spec.Metrics[i]
		measured = measured || m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType
		if !f.Full() {
			checkMetric(f, m, r, p.Index(i))
		}
	}
	if n := spec.MinReplicas; n != nil && *n == 0 && !measured {
		f.Forbidden(p, "must specify at least one Object or External metric to support scaling to zero replicas")
	}
}

// checkMetric checks that a metric has the source that its type names and no other. The first source is checked.
func checkMetric(f *check.Errors, m *autoscalingv2.MetricSpec, r referenceRules, p *field.Path) {
	kind := p.Child("type")
	if m.Type == "" {
		f.Required(kind, "must specify a metric source type")
	}
	check.OneOf(f, kind, m.Type, sourceTypes...)
	sources := []struct {
		name  string
		of    autoscalingv2.MetricSourceType
		there bool
		check func(at *field.Path)
	}{
		{"object", autoscalingv2.ObjectMetricSourceType, m.Object != nil, func(at *field.Path) { checkObject(f, m.Object, r, at) }},
		{"external", autoscalingv2.ExternalMetricSourceType, m.External != nil, func(at *field.Path) { checkExternal(f, m.External, at) }},
		{"pods", autoscalingv2.PodsMetricSourceType, m.Pods != nil, func(at *field.Path) { checkPods(f, m.Pods, at) }},
		{"resource", autoscalingv2.ResourceMetricSourceType, m.Resource != nil, func(at *field.Path) {
			if m.Resource.Name == "" {
				f.Required(at.Child("name"), "must specify a resource name")
			}
			checkUtilization(f, &m.Resource.Target, at.Child("target"))
		}},
		{"containerResource", autoscalingv2.ContainerResourceMetricSourceType, m.ContainerResource != nil, func(at *field.Path) { checkContainerResource(f, m.ContainerResource, at) }},
	}
	n, known := 0, false
	for _, s := range sources {
		if s.there {
			if n++; n == 1 {
				s.check(p.Child(s.name))
			}
		}
	}
	for _, s := range sources {
		if s.of == m.Type {
			if known = true; !s.there {
				f.Required(p.Child(s.name), "must populate information for the given metric source")
			}
		}
	}
	if !known {
		check.OneOf(f, kind, m.Type, sourceTypes...) // again, as Kubernetes does it
	}
	for _, s := range sources {
		if n != 1 && s.there && s.of != m.Type {
			f.Forbidden(p.Child(s.name), "must populate the given metric source only")
		}
	}
}

func checkObject(f *check.Errors, s *autoscalingv2.ObjectMetricSource, r referenceRules, p *field.Path) {
	checkReference(f, &s.DescribedObject, r, p.Child("describedObject"))
	target := p.Child("target")
	checkNamed(f, &s.Metric, p)
	checkTarget(f, &s.Target, target)
	if s.Target.Value == nil && s.Target.AverageValue == nil {
		f.Required(target.Child("averageValue"), "must set either a target value or averageValue")
	}
}

func checkExternal(f *check.Errors, s *autoscalingv2.ExternalMetricSource, p *field.Path) {
	target := p.Child("target")
	checkNamed(f, &s.Metric, p)
	checkTarget(f, &s.Target, target)
	switch value, average := s.Target.Value != nil, s.Target.AverageValue != nil; {
	case !value && !average:
		f.Required(target.Child("averageValue"), "must set either a target value for metric or a per-pod target")
	case value && average:
		f.Forbidden(target.Child("value"), "may not set both a target value for metric and a per-pod target")
	}
}

func checkPods(f *check.Errors, s *autoscalingv2.PodsMetricSource, p *field.Path) {
	target := p.Child("target")
	checkNamed(f, &s.Metric, p)
	checkTarget(f, &s.Target, target)
	if s.Target.AverageValue == nil {
		f.Required(target.Child("averageValue"), "must specify a positive target averageValue")
	}
}

func checkContainerResource(f *check.Errors, s *autoscalingv2.ContainerResourceMetricSource, p *field.Path) {
	if s.Name == "" {
		f.Required(p.Child("name"), "must specify a resource name")
	} else {
		f.Add(core.ValidateContainerResourceName(s.Name, p.Child("name"))...)
	}
	if s.Container == "" {
		f.Required(p.Child("container"), "must specify a container")
	} else {
		f.Label(p.Child("container"), s.Container)
	}
	checkUtilization(f, &s.Target, p.Child("target"))
}

func checkUtilization(f *check.Errors, t *autoscalingv2.MetricTarget, p *field.Path) {
	checkTarget(f, t, p)
	switch utilization, value := t.AverageUtilization != nil, t.AverageValue != nil; {
	case !utilization && !value:
		f.Required(p.Child("averageUtilization"), "must set either a target raw value or a target utilization")
	case utilization && value:
		f.Forbidden(p.Child("averageValue"), "may not set both a target raw value and a target utilization")
	}
}

func checkTarget(f *check.Errors, t *autoscalingv2.MetricTarget, p *field.Path) {
	switch t.Type {
	case autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType:
	default:
		if t.Type == "" {
			f.Required(p.Child("type"), "must specify a metric target type")
		}
		f.Invalid(p.Child("type"), t.Type, "must be either Utilization, Value, or AverageValue")
	}
	if t.Value != nil && t.Value.Sign() != 1 {
		f.Invalid(p.Child("value"), t.Value, "must be positive")
	}
	if t.AverageValue != nil && t.AverageValue.Sign() != 1 {
		f.Invalid(p.Child("averageValue"), t.AverageValue, "must be positive")
	}
	if n := t.AverageUtilization; n != nil && *n < 1 {
		f.Invalid(p.Child("averageUtilization"), n, "must be greater than 0")
	}
}

func checkNamed(f *check.Errors, id *autoscalingv2.MetricIdentifier, p *field.Path) {
	checkSegment(f, id.Name, "must specify a metric name", p.Child("metric", "name"))
}
