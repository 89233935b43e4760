package horizontalpodautoscaler

import (
	"errors"
	"fmt"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/agents/controllers/horizontalpodautoscaler/metrics"
	"gantry/schema/pods"
)

// proposal is what one metric asks for.
type proposal struct {
	replicas int32
	metric   string // describes it in texts
	status   autoscalingv2.MetricStatus
	// err says why there is none, reason is the event's; cause is the error that the condition tells.
	err, cause error
	reason     string
}

func failed(reason string, cause error, format string, args ...any) proposal {
	return proposal{reason: reason, cause: cause, err: fmt.Errorf(format+": %w", append(args, cause)...)}
}

// input is what metrics are evaluated by.
type input struct {
	pods         []*corev1.Pod
	spec, status int32 // the target's replicas
	tolerances   tolerances
	now          time.Time
}

var errNoPods = errors.New("no pods returned by selector while calculating replica count")

// evaluate is what a metric asks for by its sample.
func (in input) evaluate(m *autoscalingv2.MetricSpec, s sample) proposal {
	switch {
	case m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil:
		p, current := in.resource("FailedGetResourceMetric", m.Resource.Name, "", &m.Resource.Target, s)
		if p.cause != nil {
			return failed(p.reason, p.cause, "failed to get %s resource metric value", m.Resource.Name)
		}
		p.status = autoscalingv2.MetricStatus{Type: m.Type, Resource: &autoscalingv2.ResourceMetricStatus{Name: m.Resource.Name, Current: current}}
		return p
	case m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil:
		c := m.ContainerResource
		p, current := in.resource("FailedGetContainerResourceMetric", c.Name, c.Container, &c.Target, s)
		if p.cause != nil {
			return failed(p.reason, p.cause, "failed to get %s container metric value", c.Container)
		}
		p.status = autoscalingv2.MetricStatus{Type: m.Type, ContainerResource: &autoscalingv2.ContainerResourceMetricStatus{Name: c.Name, Container: c.Container, Current: current}}
		return p
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		return in.ofPods(m.Pods, s)
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		return in.ofObject(m.Object, s)
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		return in.external(m.External, s)
	}
	cause := fmt.Errorf("unknown metric source type %q", string(m.Type))
	return proposal{reason: "InvalidMetricSourceType", cause: cause, err: cause}
}

func (in input) resource(reason string, name corev1.ResourceName, container string, target *autoscalingv2.MetricTarget, s sample) (proposal, autoscalingv2.MetricValueStatus) {
	fail := func(format string, err error) (proposal, autoscalingv2.MetricValueStatus) {
		return proposal{reason: reason, cause: fmt.Errorf(format, name, err)}, autoscalingv2.MetricValueStatus{}
	}
	wanted, kind, described := perPod{}, "failed to get %s utilization: %w", fmt.Sprintf("%s resource utilization (percentage of request)", name)
	switch {
	case target.AverageValue != nil:
		wanted.target, kind, described = target.AverageValue.MilliValue(), "failed to get %s usage: %w", fmt.Sprintf("%s resource", name)
	case target.AverageUtilization == nil:
		return proposal{reason: reason, cause: errors.New("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set")}, autoscalingv2.MetricValueStatus{}
	case container != "":
		described = fmt.Sprintf("%s container resource utilization (percentage of request)", name)
	}
	if s.err != nil {
		return fail(kind, fmt.Errorf("unable to get metrics for resource %s: %w", name, s.err))
	}
	if len(in.pods) == 0 {
		return fail(kind, errNoPods)
	}
	g := groupPods(in.pods, s.pods, name, in.now)
	if target.AverageValue == nil {
		var err error
		wanted.target = int64(*target.AverageUtilization)
		if len(g.usable) > 0 { // else that is the error
			if wanted.requests, err = requestsOf(in.pods, name, container); err != nil {
				return fail(kind, err)
			}
		}
	}
	replicas, found, err := wanted.replicas(g, in.spec, in.tolerances)
	if err != nil {
		return fail(kind, err)
	}
	format := resource.DecimalSI
	if name == corev1.ResourceMemory {
		format = resource.BinarySI
	}
	current := autoscalingv2.MetricValueStatus{AverageValue: resource.NewMilliQuantity(found.average, format)}
	if target.AverageValue == nil {
		current.AverageUtilization = &found.utilization
	}
	return proposal{replicas: replicas, metric: described}, current
}

func (in input) ofPods(m *autoscalingv2.PodsMetricSource, s sample) proposal {
	fail := func(err error) proposal { return failed("FailedGetPodsMetric", err, "failed to get pods metric value") }
	switch {
	case s.err != nil:
		return fail(fmt.Errorf("unable to get metric %s: %w", m.Metric.Name, s.err))
	case m.Target.AverageValue == nil:
		return fail(errors.New("invalid pods metric source: no average value target was set"))
	case len(in.pods) == 0:
		return fail(errNoPods)
	}
	wanted := perPod{target: m.Target.AverageValue.MilliValue()}
	replicas, found, err := wanted.replicas(groupPods(in.pods, s.pods, "", in.now), in.spec, in.tolerances)
	if err != nil {
		return fail(err)
	}
	return proposal{replicas: replicas, metric: "pods metric " + m.Metric.Name, status: autoscalingv2.MetricStatus{
		Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricStatus{Metric: m.Metric, Current: averageOf(found.average)},
	}}
}

func (in input) ofObject(m *autoscalingv2.ObjectMetricSource, s sample) proposal {
	fail := func(err error) proposal {
		return failed("FailedGetObjectMetric", err, "failed to get object metric value")
	}
	var err error
	if s.err != nil {
		err = fmt.Errorf("unable to get metric %s: %w", m.Metric.Name, s.err)
	}
	out := autoscalingv2.ObjectMetricStatus{DescribedObject: m.DescribedObject, Metric: m.Metric}
	p := proposal{metric: fmt.Sprintf("%s metric %s", m.DescribedObject.Kind, m.Metric.Name)}
	switch {
	case m.Target.Type == autoscalingv2.ValueMetricType && m.Target.Value != nil:
		if err != nil {
			return fail(err)
		}
		if p.replicas, out.Current, err = in.byValue(s, m.Target.Value.MilliValue()); err != nil {
			return fail(err)
		}
	case m.Target.Type == autoscalingv2.AverageValueMetricType && m.Target.AverageValue != nil:
		if err == nil {
			p.replicas, out.Current, err = in.byAverage(s, m.Target.AverageValue.MilliValue())
		}
		if err != nil {
			return fail(fmt.Errorf("failed to get %s object metric: %w", m.Metric.Name, err))
		}
		p.metric = fmt.Sprintf("external metric %s(%+v)", m.Metric.Name, m.Metric.Selector)
	default:
		return fail(errors.New("invalid object metric source: neither a value target nor an average value target was set"))
	}
	p.status = autoscalingv2.MetricStatus{Type: autoscalingv2.ObjectMetricSourceType, Object: &out}
	return p
}

func (in input) external(m *autoscalingv2.ExternalMetricSource, s sample) proposal {
	fail := func(err error) proposal {
		return failed("FailedGetExternalMetric", err, "failed to get %s external metric value", m.Metric.Name)
	}
	err := s.err
	out := autoscalingv2.ExternalMetricStatus{Metric: m.Metric}
	p := proposal{metric: fmt.Sprintf("external metric %s(%+v)", m.Metric.Name, m.Metric.Selector)}
	switch {
	case m.Target.AverageValue != nil:
		if err == nil {
			p.replicas, out.Current, err = in.byAverage(s, m.Target.AverageValue.MilliValue())
		}
		if err != nil {
			return fail(fmt.Errorf("failed to get %s external metric: %w", m.Metric.Name, err))
		}
	case m.Target.Value != nil:
		if err == nil {
			p.replicas, out.Current, err = in.byValue(s, m.Target.Value.MilliValue())
		}
		if err != nil {
			return fail(fmt.Errorf("failed to get external metric %s: %w", m.Metric.Name, err))
		}
	default:
		return fail(errors.New("invalid external metric source: neither a value target nor an average value target was set"))
	}
	p.status = autoscalingv2.MetricStatus{Type: autoscalingv2.ExternalMetricSourceType, External: &out}
	return p
}

// byValue keeps the ratio of a number to its target by the number of ready pods.
func (in input) byValue(s sample, target int64) (int32, autoscalingv2.MetricValueStatus, error) {
	if target <= 0 {
		return 0, autoscalingv2.MetricValueStatus{}, fmt.Errorf("invalid target %d", target)
	}
	usage := sum(s.values)
	current := autoscalingv2.MetricValueStatus{Value: resource.NewMilliQuantity(usage, resource.DecimalSI)}
	ratio := float64(usage) / float64(target)
	switch {
	case in.spec == 0:
		return clamp(math.Ceil(ratio)), current, nil
	case in.tolerances.within(ratio):
		return in.spec, current, nil
	case len(in.pods) == 0:
		return 0, current, fmt.Errorf("unable to calculate ready pods: %w", errNoPods)
	}
	ready := 0
	for _, p := range in.pods {
		if p.Status.Phase == corev1.PodRunning && pods.IsReady(p) {
			ready++
		}
	}
	return clamp(math.Ceil(ratio * float64(ready))), current, nil
}

// byAverage shares a number between the pods, as the target's status counts them.
func (in input) byAverage(s sample, target int64) (int32, autoscalingv2.MetricValueStatus, error) {
	if target <= 0 {
		return 0, autoscalingv2.MetricValueStatus{}, fmt.Errorf("invalid target %d", target)
	}
	usage, replicas := sum(s.values), in.status
	if replicas == 0 || !in.tolerances.within(float64(usage)/(float64(target)*float64(replicas))) {
		replicas = clamp(math.Ceil(float64(usage) / float64(target)))
	}
	return replicas, averageOf(clampInt64(math.Ceil(float64(usage) / float64(max(in.status, 1))))), nil
}

func averageOf(n int64) autoscalingv2.MetricValueStatus {
	return autoscalingv2.MetricValueStatus{AverageValue: resource.NewMilliQuantity(n, resource.DecimalSI)}
}

func sum(values []int64) (total int64) {
	for _, v := range values {
		total = metrics.Add(total, v)
	}
	return total
}
