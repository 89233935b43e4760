package network

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

const (
	endpointsManagedBy = "endpoints.kubernetes.io/managed-by"
	endpointsManager   = "endpoint-controller"
	// leaderAnnotation marks Endpoints that old clients elect leaders by.
	leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"
	// maxEndpoints is how many addresses an Endpoints object holds; more are left out.
	maxEndpoints = 1000
)

// deletedPrefix before a key says that the Service was seen to be deleted: its Endpoints are deleted, whoever made them.
const deletedPrefix = "deleted:"

type endpointsController struct {
	*controller.Env
	index *controller.SelectorIndex
}

// NewEndpoints keeps the Endpoints of Services that have a selector. Its keys are those of Services, and deletedPrefix with them.
func NewEndpoints(e *controller.Env) controller.Reconciler {
	c := endpointsController{e, controller.NewSelectorIndex()}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: core.Service, Keys: func(old, current schema.Object) {
				onService(c.Env, c.index, old, current)
				if current == nil {
					c.Enqueue(deletedPrefix+controller.KeyOf(old), 0)
				}
			}},
			{Kind: core.Pod, Keys: func(old, current schema.Object) { onPod(c.Env, c.index, old, current) }},
			{Kind: core.Endpoints, Keys: c.onEndpoints},
		},
	}
}

func (c endpointsController) onEndpoints(old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		if obj != nil && (obj.GetLabels()[endpointsManagedBy] == endpointsManager || current == nil) {
			c.Enqueue(controller.KeyOf(obj), controller.CoalesceDelay)
		}
	}
}

func (c endpointsController) reconcile(ctx context.Context, key string) (time.Duration, error) {
	serviceKey, deleted := strings.CutPrefix(key, deletedPrefix)
	ns, name, _ := strings.Cut(serviceKey, "/")
	have, err := registry.For[*corev1.Endpoints](c.Registry).Cached(ctx, ns, name)
	if err != nil && !errors.Is(err, registry.NotFound) {
		return 0, err
	}
	svc, err := registry.For[*corev1.Service](c.Registry).Cached(ctx, ns, name)
	switch {
	case errors.Is(err, registry.NotFound):
		return 0, c.Execute(ctx, planWithoutService(have, deleted))
	case err != nil:
		return 0, err
	case svc.DeletionTimestamp != nil || len(svc.Spec.Selector) == 0 || svc.Spec.Type == corev1.ServiceTypeExternalName:
		return 0, nil
	}
	podList, err := registry.For[*corev1.Pod](c.Registry).CachedList(ctx, ns, labels.SelectorFromSet(svc.Spec.Selector).String())
	if err != nil {
		return 0, err
	}
	c.index.SetSize(serviceKey, len(podList))
	return 0, c.Execute(ctx, planEndpoints(svc, podList, have))
}

// planWithoutService deletes Endpoints without Service, if this controller made them or their Service was seen to be deleted.
func planWithoutService(have *corev1.Endpoints, deleted bool) []controller.Action {
	if have == nil || have.Annotations[leaderAnnotation] != "" || (!deleted && have.Labels[endpointsManagedBy] != endpointsManager) {
		return nil
	}
	return []controller.Action{{Do: controller.Delete, Kind: core.Endpoints, Object: have, Reason: "the service is gone"}}
}

// planEndpoints decides the Endpoints object of a Service; have is nil where there is none.
func planEndpoints(svc *corev1.Service, podList []*corev1.Pod, have *corev1.Endpoints) []controller.Action {
	family := familiesOf(svc)[0]
	subsets, truncated := subsetsOf(svc, wantedEndpoints(svc, podList, family, func(string) string { return "" }))
	next := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, Name: svc.Name}}
	if have != nil {
		next = have.DeepCopy()
	}
	next.Subsets = subsets
	next.Labels = labels.Merge(svc.Labels, labels.Set{endpointsManagedBy: endpointsManager})
	delete(next.Labels, corev1.IsHeadlessService)
	if headless(svc) {
		next.Labels[corev1.IsHeadlessService] = ""
	}
	delete(next.Annotations, corev1.EndpointsOverCapacity)
	if truncated {
		next.Annotations = labels.Merge(next.Annotations, labels.Set{corev1.EndpointsOverCapacity: "truncated"})
	}
	switch {
	case have == nil:
		return []controller.Action{{Do: controller.Create, Kind: core.Endpoints, Object: next, Reason: "the service has no endpoints object"}}
	case equality.Semantic.DeepEqual(have, next):
		return nil
	}
	return []controller.Action{{Do: controller.Update, Kind: core.Endpoints, Object: next, Reason: "the service's pods changed"}}
}

// subsetsOf groups endpoints by their ports. Terminating pods are left out, unless the service wants every address.
func subsetsOf(svc *corev1.Service, wanted []endpoint) (subsets []corev1.EndpointSubset, truncated bool) {
	groups := map[string]*corev1.EndpointSubset{}
	if truncated = len(wanted) > maxEndpoints; truncated {
		// Ready addresses are kept before the others.
		slices.SortStableFunc(wanted, func(a, b endpoint) int {
			return cmp.Compare(notReadyRank(a), notReadyRank(b))
		})
		wanted = wanted[:maxEndpoints]
	}
	for _, e := range wanted {
		if ptr.Deref(e.endpoint.Conditions.Terminating, false) && !svc.Spec.PublishNotReadyAddresses {
			continue
		}
		if len(e.ports) == 0 && !headless(svc) {
			continue
		}
		key := portKey(e.ports)
		g := groups[key]
		if g == nil {
			g = &corev1.EndpointSubset{Ports: corePorts(e.ports)}
			groups[key] = g
		}
		a := corev1.EndpointAddress{IP: e.endpoint.Addresses[0], NodeName: e.endpoint.NodeName, Hostname: ptr.Deref(e.endpoint.Hostname, ""), TargetRef: e.endpoint.TargetRef}
		if *e.endpoint.Conditions.Ready {
			g.Addresses = append(g.Addresses, a)
		} else {
			g.NotReadyAddresses = append(g.NotReadyAddresses, a)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		slices.SortFunc(g.Addresses, compareAddresses)
		slices.SortFunc(g.NotReadyAddresses, compareAddresses)
		subsets = append(subsets, *g)
	}
	return subsets, truncated
}

// notReadyRank sorts endpoints that are ready before the others.
func notReadyRank(e endpoint) int {
	if ptr.Deref(e.endpoint.Conditions.Ready, false) {
		return 0
	}
	return 1
}

func compareAddresses(a, b corev1.EndpointAddress) int {
	return cmp.Or(cmp.Compare(a.IP, b.IP), cmp.Compare(a.TargetRef.UID, b.TargetRef.UID))
}

func corePorts(ports []discoveryv1.EndpointPort) []corev1.EndpointPort {
	var out []corev1.EndpointPort
	for _, p := range ports {
		out = append(out, corev1.EndpointPort{Name: ptr.Deref(p.Name, ""), Port: ptr.Deref(p.Port, 0), Protocol: ptr.Deref(p.Protocol, corev1.ProtocolTCP), AppProtocol: p.AppProtocol})
	}
	slices.SortFunc(out, func(a, b corev1.EndpointPort) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out
}
