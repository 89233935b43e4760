package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// firstNamespaces are there from the start and come back when they are deleted.
var firstNamespaces = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}

type namespaces struct {
	*controller.Env
	mu    sync.Mutex // guards going
	going map[string]bool
}

func NewNamespace(e *controller.Env) controller.Reconciler {
	c := &namespaces{Env: e, going: map[string]bool{}}
	w := controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: core.Namespace, Keys: c.ofNamespace}}, Run: func(ctx context.Context) error {
		for _, name := range firstNamespaces {
			c.Enqueue(name, 0)
		}
		<-ctx.Done()
		return nil
	}}
	for _, k := range kinds.BuiltIn().All {
		if k.Namespaced {
			w.Watches = append(w.Watches, controller.Watch{Kind: k, Keys: c.ofContent})
		}
	}
	return w
}

func (c *namespaces) ofNamespace(old, current schema.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current == nil {
		delete(c.going, old.GetName())
		c.Enqueue(old.GetName(), 0) // one of the first comes back
		return
	}
	if current.GetDeletionTimestamp() != nil {
		c.going[current.GetName()] = true
		c.Enqueue(current.GetName(), 0)
	}
}

// ofContent looks at a namespace being deleted again when something in it changed.
func (c *namespaces) ofContent(old, current schema.Object) {
	if current == nil {
		current = old
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.going[current.GetNamespace()] {
		c.Enqueue(current.GetNamespace(), controller.CoalesceDelay)
	}
}

// reconcile looks at one namespace.
func (c *namespaces) reconcile(ctx context.Context, name string) (time.Duration, error) {
	ns, err := registry.For[*corev1.Namespace](c.Registry).Cached(ctx, "", name)
	switch {
	case errors.Is(err, registry.NotFound):
		return 0, c.first(ctx, name)
	case err != nil || ns.DeletionTimestamp == nil:
		return 0, err
	}
	left, failed := c.empty(ctx, ns)
	if failed != nil || left.any() {
		return left.again(), errors.Join(failed, c.report(ctx, ns, left, failed))
	}
	if !finalizing(ns) {
		return 0, nil // a finalizer of somebody else, in metadata, holds it
	}
	return 0, c.finish(ctx, ns)
}

func (c *namespaces) first(ctx context.Context, name string) error {
	for _, n := range firstNamespaces {
		if n == name {
			return c.createFirst(ctx, name)
		}
	}
	return nil
}

func (c *namespaces) createFirst(ctx context.Context, name string) error {
	err := c.Execute(ctx, []controller.Action{{Do: controller.Create, Kind: core.Namespace, Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, Reason: "a cluster has it"}})
	if errors.Is(err, registry.Exists) {
		return nil
	}
	return err
}

func finalizing(ns *corev1.Namespace) bool {
	for _, f := range ns.Spec.Finalizers {
		if f == corev1.FinalizerKubernetes {
			return true
		}
	}
	return false
}

// empty deletes what is in a namespace, pods first: as long as one is left, the rest stays for it (its network policies,
// its secrets). It returns what is left; an error tells what could not be deleted.
func (c *namespaces) empty(ctx context.Context, ns *corev1.Namespace) (remainingContent, error) {
	left, err := c.emptyKind(ctx, core.Pod, ns.Name)
	if err != nil || left.any() {
		return left, err
	}
	var errs []error
	for _, k := range kinds.BuiltIn().All {
		if !k.Namespaced || k == core.Pod {
			continue
		}
		l, err := c.emptyKind(ctx, k, ns.Name)
		left = append(left, l...)
		errs = append(errs, err)
	}
	return left, errors.Join(errs...)
}

func (c *namespaces) emptyKind(ctx context.Context, k *schema.Kind, ns string) (remainingContent, error) {
	list, err := c.Registry.List(ctx, k, ns, registry.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing %s of namespace %s: %w", k.Plural, ns, err)
	}
	var plan []controller.Action
	for _, it := range list.Items {
		if obj := it.Object(); obj.GetDeletionTimestamp() == nil {
			plan = append(plan, controller.Action{Do: controller.Delete, Kind: k, Object: obj, Bulk: true, Quiet: true, Reason: "its namespace is being deleted", DeleteOptions: registry.DeleteOptions{Propagation: "Background"}})
		}
	}
	if len(plan) == 0 {
		return remainingOf(k, list.Items), nil
	}
	if err := c.Execute(ctx, plan); err != nil {
		return remainingOf(k, list.Items), err
	}
	c.Log.Info("objects deleted", "kind", k.Kind, "ns", ns, "count", len(plan), "reason", "their namespace is being deleted")
	if list, err = c.Registry.List(ctx, k, ns, registry.ListOptions{}); err != nil {
		return nil, fmt.Errorf("listing %s of namespace %s: %w", k.Plural, ns, err)
	}
	return remainingOf(k, list.Items), nil
}

// report writes into the status what is left and why.
func (c *namespaces) report(ctx context.Context, ns *corev1.Namespace, left remainingContent, failed error) error {
	now := time.Now()
	_, err := registry.For[*corev1.Namespace](c.Registry).ModifyStatus(ctx, "", ns.Name, func(m *corev1.Namespace) error {
		if m.UID == ns.UID && m.DeletionTimestamp != nil {
			m.Status.Phase = corev1.NamespaceTerminating
			m.Status.Conditions = left.conditions(m.Status.Conditions, failed, now)
		}
		return nil
	})
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// finish lets go of a namespace that is empty.
func (c *namespaces) finish(ctx context.Context, ns *corev1.Namespace) error {
	n := ns.DeepCopy()
	n.Spec.Finalizers = nil
	for _, f := range ns.Spec.Finalizers {
		if f != corev1.FinalizerKubernetes {
			n.Spec.Finalizers = append(n.Spec.Finalizers, f)
		}
	}
	_, err := c.Registry.Update(ctx, core.Namespace, n, registry.WriteOptions{Subresource: "finalize"})
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finalizing namespace %s: %w", ns.Name, err)
	}
	c.Log.Info("namespace emptied", "kind", "Namespace", "name", ns.Name, "uid", ns.UID)
	return nil
}
