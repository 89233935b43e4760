package network

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/pods"
)

const sliceManager = "endpointslice-controller.k8s.io"

type endpointSlices struct {
	*controller.Env
	index *controller.SelectorIndex
}

// NewEndpointSlice keeps the slices of Services that have a selector. Its keys are those of Services.
func NewEndpointSlice(e *controller.Env) controller.Reconciler {
	c := endpointSlices{e, controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: core.Service, Keys: func(old, current schema.Object) { onService(c.Env, c.index, old, current) }},
			{Kind: core.Pod, Keys: func(old, current schema.Object) { onPod(c.Env, c.index, old, current) }},
			{Kind: core.Node, Keys: c.onNode},
			{Kind: discovery.EndpointSlice, Keys: func(old, current schema.Object) { onSlice(c.Env, sliceManager, old, current) }},
		},
	}
}

// onService enqueues a Service and puts its selector into the index.
func onService(e *controller.Env, index *controller.SelectorIndex, old, current schema.Object) {
	if current == nil {
		index.Set(old, nil)
		e.Enqueue(controller.KeyOf(old), 0)
		return
	}
	var selector labels.Selector
	if set := current.(*corev1.Service).Spec.Selector; len(set) > 0 {
		selector = labels.SelectorFromSet(set)
	}
	index.Set(current, selector)
	e.Enqueue(controller.KeyOf(current), 0)
}

// onPod enqueues the Services that select a pod, or did, when something changed that their endpoints show.
func onPod(e *controller.Env, index *controller.SelectorIndex, old, current schema.Object) {
	if old != nil && current != nil && samePod(old.(*corev1.Pod), current.(*corev1.Pod)) {
		return
	}
	var before map[string]string
	if old != nil {
		before = old.GetLabels()
		index.Each(old.GetNamespace(), before, func(key string) { e.Enqueue(key, index.Delay(key)) })
	}
	if current != nil && !maps.Equal(before, current.GetLabels()) {
		index.Each(current.GetNamespace(), current.GetLabels(), func(key string) { e.Enqueue(key, index.Delay(key)) })
	}
}

func samePod(a, b *corev1.Pod) bool {
	return a.UID == b.UID && pods.IsTerminal(a) == pods.IsTerminal(b) && pods.IsReady(a) == pods.IsReady(b) && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		a.Spec.NodeName == b.Spec.NodeName && a.Status.PodIP == b.Status.PodIP && equality.Semantic.DeepEqual(a.Status.PodIPs, b.Status.PodIPs) &&
		maps.Equal(a.Labels, b.Labels)
}

// onNode enqueues every Service when a node's zone is another: endpoints and their hints name it.
func (c endpointSlices) onNode(old, current schema.Object) {
	if current == nil || zoneOf(old) == zoneOf(current) {
		return
	}
	for _, key := range c.index.Keys() {
		c.Enqueue(key, c.index.Delay(key))
	}
}

func zoneOf(node schema.Object) string {
	if node == nil {
		return ""
	}
	return node.GetLabels()[corev1.LabelTopologyZone]
}

// onSlice enqueues the Service of a slice of this manager that changed.
func onSlice(e *controller.Env, manager string, old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		if obj == nil || obj.GetLabels()[discoveryv1.LabelManagedBy] != manager {
			continue
		}
		if name := obj.GetLabels()[discoveryv1.LabelServiceName]; name != "" {
			e.Enqueue(obj.GetNamespace()+"/"+name, controller.CoalesceDelay)
		}
	}
}

// reconcile brings the slices of one Service to its pods. Those of a Service that does not exist are deleted by the garbage collector.
func (c endpointSlices) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	svc, err := registry.For[*corev1.Service](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil || svc.DeletionTimestamp != nil || len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName {
		return 0, err
	}
	podList, err := registry.For[*corev1.Pod](c.Registry).CachedList(ctx, ns, labels.SelectorFromSet(svc.Spec.Selector).String())
	if err != nil {
		return 0, err
	}
	c.index.SetSize(key, len(podList))
	existing, err := managedSlices(ctx, c.Env, ns, name, sliceManager)
	if err != nil {
		return 0, err
	}
	return 0, c.Execute(ctx, planSlices(svc, podList, existing, c.zones(ctx)))
}

// managedSlices are the slices of a service that a manager made.
func managedSlices(ctx context.Context, e *controller.Env, ns, service, manager string) ([]*discoveryv1.EndpointSlice, error) {
	return registry.For[*discoveryv1.EndpointSlice](e.Registry).CachedList(ctx, ns,
		labels.Set{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: manager}.String())
}

// zones answers with the zone of a node, "" for an unknown one.
func (c endpointSlices) zones(ctx context.Context) func(string) string {
	return func(name string) string {
		node, err := registry.For[*corev1.Node](c.Registry).Cached(ctx, "", name)
		if err != nil {
			return ""
		}
		return node.Labels[corev1.LabelTopologyZone]
	}
}

// planSlices decides the slices of a service.
func planSlices(svc *corev1.Service, podList []*corev1.Pod, existing []*discoveryv1.EndpointSlice, zone func(string) string) []controller.Action {
	wanted := map[discoveryv1.AddressType][]endpoint{}
	for _, family := range familiesOf(svc) {
		wanted[family] = wantedEndpoints(svc, podList, family, zone)
	}
	s := slicing{owner: svc, ownerKind: core.Service, prefix: svc.Name, labels: sliceLabels(svc), placeholder: true}
	return s.plan(existing, wanted)
}

// sliceLabels are the service's labels and the ones that slices are found by.
func sliceLabels(svc *corev1.Service) map[string]string {
	out := labels.Merge(svc.Labels, labels.Set{discoveryv1.LabelServiceName: svc.Name})
	out[discoveryv1.LabelManagedBy] = sliceManager
	delete(out, corev1.IsHeadlessService)
	if headless(svc) {
		out[corev1.IsHeadlessService] = ""
	}
	return out
}
