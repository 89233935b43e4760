package autoscaling

import (
	"fmt"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var autoscalerColumns = autoscalerColumnsOf(autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc())

func autoscalerColumnsOf(doc map[string]string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		schema.NameColumn(),
		schema.TextColumn("Reference", doc["scaleTargetRef"]),
		schema.TextColumn("Targets", doc["metrics"]),
		schema.TextColumn("MinPods", doc["minReplicas"]),
		schema.TextColumn("MaxPods", doc["maxReplicas"]),
		schema.TextColumn("Replicas", autoscalingv2.HorizontalPodAutoscalerStatus{}.SwaggerDoc()["currentReplicas"]),
		schema.AgeColumn(),
	}
}

func autoscalerRow(obj schema.Object, now metav1.Time) []any {
	a := obj.(*autoscalingv2.HorizontalPodAutoscaler)
	least := "<unset>"
	if n := a.Spec.MinReplicas; n != nil {
		least = strconv.Itoa(int(*n))
	}
	return []any{
		a.Name,
		a.Spec.ScaleTargetRef.Kind + "/" + a.Spec.ScaleTargetRef.Name,
		targets(a.Spec.Metrics, a.Status.CurrentMetrics),
		least,
		int64(a.Spec.MaxReplicas),
		int64(a.Status.CurrentReplicas),
		schema.Age(a.CreationTimestamp, now),
	}
}

const unknown = "<unknown>"

// targets is "cpu: 30%/80%, 5/10 (avg) + 2 more...": current values and targets of the first metrics.
func targets(metrics []autoscalingv2.MetricSpec, current []autoscalingv2.MetricStatus) string {
	const most = 2
	if len(metrics) == 0 {
		return schema.Unset
	}
	var list []string
	for i := range metrics[:min(len(metrics), most)] {
		var is autoscalingv2.MetricStatus
		if i < len(current) {
			is = current[i]
		}
		list = append(list, target(&metrics[i], &is))
	}
	text := strings.Join(list, ", ")
	if more := len(metrics) - most; more > 0 {
		text = fmt.Sprintf("%s + %d more...", text, more)
	}
	return text
}

func target(m *autoscalingv2.MetricSpec, is *autoscalingv2.MetricStatus) string {
	switch s := m; {
	case s.Type == autoscalingv2.ExternalMetricSourceType && s.External != nil:
		var now *autoscalingv2.MetricValueStatus
		if is.External != nil {
			now = &is.External.Current
		}
		return valueTarget(&s.External.Target, now)
	case s.Type == autoscalingv2.ObjectMetricSourceType && s.Object != nil:
		var now *autoscalingv2.MetricValueStatus
		if is.Object != nil {
			now = &is.Object.Current
		}
		return valueTarget(&s.Object.Target, now)
	case s.Type == autoscalingv2.PodsMetricSourceType && s.Pods != nil:
		now := unknown
		if is.Pods != nil {
			now = is.Pods.Current.AverageValue.String()
		}
		return now + "/" + s.Pods.Target.AverageValue.String()
	case s.Type == autoscalingv2.ResourceMetricSourceType && s.Resource != nil:
		var now *autoscalingv2.MetricValueStatus
		if is.Resource != nil {
			now = &is.Resource.Current
		}
		return string(s.Resource.Name) + ": " + utilizationTarget(&s.Resource.Target, now)
	case s.Type == autoscalingv2.ContainerResourceMetricSourceType && s.ContainerResource != nil:
		var now *autoscalingv2.MetricValueStatus
		if is.ContainerResource != nil {
			now = &is.ContainerResource.Current
		}
		return string(s.ContainerResource.Name) + ": " + utilizationTarget(&s.ContainerResource.Target, now)
	}
	return "<unknown type>"
}

// valueTarget is "3/10"; now is nil where it is not known.
func valueTarget(t *autoscalingv2.MetricTarget, now *autoscalingv2.MetricValueStatus) string {
	is := unknown
	if t.AverageValue != nil {
		if now != nil && now.AverageValue != nil {
			is = now.AverageValue.String()
		}
		return fmt.Sprintf("%s/%s (avg)", is, t.AverageValue)
	}
	if now != nil {
		is = now.Value.String()
	}
	return is + "/" + t.Value.String()
}

// utilizationTarget is "30%/80%".
func utilizationTarget(t *autoscalingv2.MetricTarget, now *autoscalingv2.MetricValueStatus) string {
	is, want := unknown, "<auto>"
	if t.AverageValue != nil {
		if now != nil {
			is = now.AverageValue.String()
		}
		return is + "/" + t.AverageValue.String()
	}
	if now != nil && now.AverageUtilization != nil {
		is = fmt.Sprintf("%d%%", *now.AverageUtilization)
	}
	if t.AverageUtilization != nil {
		want = fmt.Sprintf("%d%%", *t.AverageUtilization)
	}
	return is + "/" + want
}
