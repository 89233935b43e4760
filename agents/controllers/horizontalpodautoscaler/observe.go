package horizontalpodautoscaler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/registry"
	"gantry/schema"
)

// target is what an autoscaler scales.
type target struct {
	kind   *schema.Kind
	object schema.Object
	// replicas are those of the spec, current those of the status.
	replicas, current int32
	selectorText      string
	selector          labels.Selector // nil: there is none, or none that can be read
	err               error           // why there is no target
}

// find reads the target, in whatever version of its group the reference names. The error is one of reading, which may pass.
func (c *autoscalers) find(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler) (target, error) {
	ref := a.Spec.ScaleTargetRef
	gv, err := kschema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return target{err: err}, nil
	}
	k := c.Registry.Kinds().Set().KindOfGroup(gv.Group, ref.Kind)
	switch {
	case k == nil:
		return target{err: fmt.Errorf("no matches for kind %q in group %q", ref.Kind, gv.Group)}, nil
	case k.Scale() == nil || !k.Namespaced:
		return target{err: errors.New("the server could not find the requested resource")}, nil
	}
	item, err := c.Registry.Get(ctx, k, a.Namespace, ref.Name, "")
	switch {
	case errors.Is(err, registry.NotFound):
		return target{err: fmt.Errorf("%s %q not found", kschema.GroupResource{Group: k.Group, Resource: k.Plural}, ref.Name)}, nil
	case err != nil:
		return target{}, err
	}
	obj, err := item.ObjectAs(ctx, k.Stored())
	if err != nil {
		return target{}, err
	}
	t := target{kind: k, object: obj}
	t.replicas, t.current, t.selectorText = k.Scale().Get(obj)
	t.replicas, t.current = max(t.replicas, 0), max(t.current, 0)
	if s, err := labels.Parse(t.selectorText); err == nil && t.selectorText != "" {
		t.selector = s
	}
	return t, nil
}

// observe reads what is known of an autoscaler's target.
func (c *autoscalers) observe(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler) (o observation, err error) {
	o.autoscaler = a
	if o.target, err = c.find(ctx, a); err != nil {
		return o, err
	}
	c.index.Set(a, o.target.selector)
	if !needsMetrics(a, o.target) {
		return o, nil
	}
	if o.pods, err = registry.For[*corev1.Pod](c.Registry).CachedList(ctx, a.Namespace, o.target.selector.String()); err != nil {
		return o, err
	}
	o.several = c.several(a.Namespace, o.pods)
	if len(o.several) > 0 {
		return o, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for i := range a.Spec.Metrics {
		o.samples = append(o.samples, c.ask(ctx, a, &a.Spec.Metrics[i], o.target.selector))
	}
	return o, nil
}

// several are the autoscalers that select one of the pods, where that is more than one.
func (c *autoscalers) several(ns string, list []*corev1.Pod) (keys []string) {
	for _, p := range list {
		c.index.Each(ns, p.Labels, func(key string) { keys = append(keys, key) })
	}
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) < 2 {
		return nil
	}
	return keys
}

// ask asks for a metric. What the spec lacks, evaluate says.
func (c *autoscalers) ask(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler, m *autoscalingv2.MetricSpec, selector labels.Selector) (s sample) {
	switch {
	case m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil:
		s.pods, s.err = c.metrics.Resource(ctx, m.Resource.Name, a.Namespace, selector, "")
	case m.Type == autoscalingv2.ContainerResourceMetricSourceType && m.ContainerResource != nil:
		s.pods, s.err = c.metrics.Resource(ctx, m.ContainerResource.Name, a.Namespace, selector, m.ContainerResource.Container)
	case m.Type == autoscalingv2.PodsMetricSourceType && m.Pods != nil:
		s.err = withSelector(&m.Pods.Metric, func(of labels.Selector) (err error) {
			s.pods, err = c.metrics.Pods(ctx, m.Pods.Metric.Name, a.Namespace, selector, of)
			return err
		})
	case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil:
		s.err = withSelector(&m.Object.Metric, func(of labels.Selector) error {
			resource, err := c.resourceOf(&m.Object.DescribedObject)
			if err != nil {
				return err
			}
			value, err := c.metrics.Object(ctx, m.Object.Metric.Name, a.Namespace, resource, m.Object.DescribedObject.Name, of)
			if err != nil {
				return fmt.Errorf("%w on %s %s/%s", err, m.Object.DescribedObject.Kind, a.Namespace, m.Object.DescribedObject.Name)
			}
			s.values = []int64{value}
			return nil
		})
	case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil:
		s.err = withSelector(&m.External.Metric, func(of labels.Selector) (err error) {
			if s.values, err = c.metrics.External(ctx, m.External.Metric.Name, a.Namespace, of); err != nil {
				return fmt.Errorf("unable to get external metric %s/%s/%+v: %w", a.Namespace, m.External.Metric.Name, m.External.Metric.Selector, err)
			}
			return nil
		})
	}
	return s
}

func withSelector(m *autoscalingv2.MetricIdentifier, f func(labels.Selector) error) error {
	selector := labels.Everything()
	if m.Selector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(m.Selector); err != nil {
			return err
		}
	}
	return f(selector)
}

// resourceOf is the resource of a described object as the custom metrics API names it.
func (c *autoscalers) resourceOf(ref *autoscalingv2.CrossVersionObjectReference) (string, error) {
	gv, err := kschema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return "", err
	}
	k := c.Registry.Kinds().Set().KindOfGroup(gv.Group, ref.Kind)
	if k == nil {
		return "", fmt.Errorf("no matches for kind %q in group %q", ref.Kind, gv.Group)
	}
	return kschema.GroupResource{Group: k.Group, Resource: k.Plural}.String(), nil
}
