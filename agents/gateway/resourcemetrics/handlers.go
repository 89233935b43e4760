package resourcemetrics

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/stream"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/metrics"
)

// reader reads the nodes and pods that a request is about.
type reader interface {
	Get(ctx context.Context, k *schema.Kind, namespace, name, revision string) (*registry.Item, error)
	List(ctx context.Context, k *schema.Kind, namespace string, o registry.ListOptions) (registry.List, error)
}

// Handlers answer metrics.k8s.io.
type Handlers struct {
	reg     reader
	scraper scraper
}

// New returns the handlers; nobody is asked yet.
func New(reg reader, kubelets Kubelets, log *slog.Logger) *Handlers {
	return &Handlers{reg: reg, scraper: scraper{kubelets: kubelets, log: log, nodes: map[types.UID]*nodeScrape{}}}
}

// Resources are the rows of nodes and pods in metrics.k8s.io.
func (h *Handlers) Resources() []*request.Resource {
	return []*request.Resource{
		{Kind: metrics.Node, Version: metrics.Node.Stored(), Virtual: true, Handlers: request.Handlers{"get": h.getNode, "list": h.listNodes}},
		{Kind: metrics.Pod, Version: metrics.Pod.Stored(), Virtual: true, Handlers: request.Handlers{"get": h.getPod, "list": h.listPods}},
	}
}

func (h *Handlers) getNode(w http.ResponseWriter, r *request.Request) error {
	node, err := stream.Find[*corev1.Node](r.Context(), h.reg, core.Node, "", r.Name)
	if err != nil {
		return err
	}
	items, err := h.ofNodes(r.Context(), node)
	if err != nil {
		return err
	}
	return sendOne(w, r, items, "nodemetrics", r.Name)
}

func (h *Handlers) getPod(w http.ResponseWriter, r *request.Request) error {
	pod, err := stream.Find[*corev1.Pod](r.Context(), h.reg, core.Pod, r.Scope(), r.Name)
	if err != nil {
		return err
	}
	items, err := h.ofPods(r.Context(), pod)
	if err != nil {
		return err
	}
	return sendOne(w, r, items, "podmetrics", r.Scope()+"/"+r.Name)
}

// sendOne answers with the metrics of one thing; where there are none, they are named as metrics-server does.
func sendOne(w http.ResponseWriter, r *request.Request, items []*registry.Item, resource, name string) error {
	if len(items) == 0 {
		return apierrors.NewNotFound(kschema.GroupResource{Group: metricsv1beta1.GroupName, Resource: resource}, name)
	}
	return encode.Item(w, r, http.StatusOK, items[0])
}

func (h *Handlers) listNodes(w http.ResponseWriter, r *request.Request) error {
	nodes, err := list[*corev1.Node](r, h.reg, core.Node)
	if err != nil {
		return err
	}
	items, err := h.ofNodes(r.Context(), nodes...)
	if err != nil {
		return err
	}
	return encode.List(w, r, registry.List{Items: items})
}

func (h *Handlers) listPods(w http.ResponseWriter, r *request.Request) error {
	pods, err := list[*corev1.Pod](r, h.reg, core.Pod)
	if err != nil {
		return err
	}
	items, err := h.ofPods(r.Context(), pods...)
	if err != nil {
		return err
	}
	return encode.List(w, r, registry.List{Items: items})
}

// list reads the objects that a request's selectors select, as the cache has them.
func list[T schema.Object](r *request.Request, reg reader, k *schema.Kind) ([]T, error) {
	o, err := request.ReadListOptions(r.Query)
	if err != nil {
		return nil, err
	}
	l, err := reg.List(r.Context(), k, r.Scope(), registry.ListOptions{ResourceVersion: "0", Labels: o.Labels, Fields: o.Fields})
	if err != nil {
		return nil, err
	}
	all := make([]T, len(l.Items))
	for i, item := range l.Items {
		all[i] = item.Object().(T)
	}
	return all, nil
}

// ofNodes are the metrics of nodes, in their order, without those that do not answer.
func (h *Handlers) ofNodes(ctx context.Context, nodes ...*corev1.Node) ([]*registry.Item, error) {
	used := h.ask(ctx, nodes)
	var items []*registry.Item
	for _, node := range nodes {
		u := used[node.Name]
		if u == nil || !u.node.complete() {
			continue
		}
		m := &metricsv1beta1.NodeMetrics{
			ObjectMeta: metaOf(node), Timestamp: metav1.NewTime(u.node.at), Window: metav1.Duration{Duration: u.node.cpu.Window}, Usage: u.node.list(),
		}
		item, err := itemOf(metrics.Node, m)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, ctx.Err()
}

// ofPods are the metrics of pods that run, in their order, without those of which a container has none.
func (h *Handlers) ofPods(ctx context.Context, pods ...*corev1.Pod) ([]*registry.Item, error) {
	var nodes []*corev1.Node
	seen := map[string]bool{}
	for _, pod := range pods {
		name := pod.Spec.NodeName
		if seen[name] || name == "" || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		seen[name] = true
		if node, err := stream.Find[*corev1.Node](ctx, h.reg, core.Node, "", name); err == nil {
			nodes = append(nodes, node)
		}
	}
	used := h.ask(ctx, nodes)
	var items []*registry.Item
	for _, pod := range pods {
		u := used[pod.Spec.NodeName]
		if u == nil || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		m := podMetrics(pod, u.pods[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}])
		if m == nil {
			continue
		}
		item, err := itemOf(metrics.Pod, m)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, ctx.Err()
}

// podMetrics are the metrics of a pod, in the earliest window of its containers; nil where one of them is not complete, or there is none.
func podMetrics(pod *corev1.Pod, used map[string]measured) *metricsv1beta1.PodMetrics {
	m := &metricsv1beta1.PodMetrics{ObjectMeta: metaOf(pod)}
	for name, u := range used {
		if !u.complete() {
			return nil
		}
		if m.Timestamp.IsZero() || u.at.Before(m.Timestamp.Time) {
			m.Timestamp, m.Window = metav1.NewTime(u.at), metav1.Duration{Duration: u.cpu.Window}
		}
		m.Containers = append(m.Containers, metricsv1beta1.ContainerMetrics{Name: name, Usage: u.list()})
	}
	if len(m.Containers) == 0 {
		return nil
	}
	slices.SortFunc(m.Containers, func(a, b metricsv1beta1.ContainerMetrics) int { return cmp.Compare(a.Name, b.Name) })
	return m
}

// maxAsked is how many kubelets are asked at a time. Those that hang hold up no others until they are so many.
const maxAsked = 256

// ask asks nodes beside each other; those that do not answer are not in what is returned, which is by the nodes' names.
func (h *Handlers) ask(ctx context.Context, nodes []*corev1.Node) map[string]*nodeUsage {
	answers := make([]*nodeUsage, len(nodes))
	slots := make(chan struct{}, maxAsked)
	var wg sync.WaitGroup
	for i, node := range nodes {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			safely.Do(h.scraper.log, "asking a kubelet for metrics", func() { answers[i] = h.scraper.usageOf(ctx, node) })
		})
	}
	wg.Wait()
	used := map[string]*nodeUsage{}
	for i, a := range answers {
		if a != nil {
			used[nodes[i].Name] = a
		}
	}
	return used
}

// list is CPU and memory as quantities, in the units of metrics-server.
func (m measured) list() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewScaledQuantity(int64(m.cpu.PerSecond), resource.Nano),
		corev1.ResourceMemory: *resource.NewQuantity(*m.memory, resource.BinarySI),
	}
}

// metaOf is the metadata of an object's metrics, made now.
func metaOf(obj metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: obj.GetName(), Namespace: obj.GetNamespace(), CreationTimestamp: metav1.Now(), Labels: obj.GetLabels()}
}

func itemOf(k *schema.Kind, obj schema.Object) (*registry.Item, error) {
	k.SetTypeMeta(obj)
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	return registry.NewItem(k, data)
}
