package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/extension"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/apiregistration"
	"gantry/schema/core"
)

// systemNamespaces exist in every cluster: they are created at the start and again when they are deleted.
var systemNamespaces = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}

type namespaces struct {
	*controller.Env
	extensions  *extension.Client
	mu          sync.Mutex      // guards terminating
	terminating map[string]bool // namespaces being deleted
}

// NewNamespace creates the system's namespaces and empties those being deleted, of the objects of extension servers through gateway. Its keys are names
// of namespaces.
func NewNamespace(gateway controller.Gateway) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		return watchNamespaces(&namespaces{Env: e, extensions: &extension.Client{Registry: e.Registry, Gateway: gateway}, terminating: map[string]bool{}})
	}
}

func watchNamespaces(c *namespaces) controller.Reconciler {
	return controller.Reconciler{
		Reconcile: c.reconcile, Run: c.EnqueueOnce(systemNamespaces...),
		Watches: []controller.Watch{
			{Kind: core.Namespace, Keys: c.onNamespace},
			{Kind: apiregistration.APIService, Keys: func(schema.Object, schema.Object) { c.enqueueTerminating() }},
		},
		WatchEvery: func(k *schema.Kind) func(old, current schema.Object) {
			if !k.Namespaced {
				return nil
			}
			return c.onContent
		},
	}
}

func (c *namespaces) onNamespace(old, current schema.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current == nil {
		delete(c.terminating, old.GetName())
		c.Enqueue(old.GetName(), 0) // a system namespace is created again
		return
	}
	if current.GetDeletionTimestamp() != nil {
		c.terminating[current.GetName()] = true
		c.Enqueue(current.GetName(), 0)
	}
}

// enqueueTerminating enqueues all namespaces being deleted: an extension server that did not answer may do so now.
func (c *namespaces) enqueueTerminating() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.terminating {
		c.Enqueue(name, controller.CoalesceDelay)
	}
}

// onContent enqueues a namespace being deleted when something in it changed.
func (c *namespaces) onContent(old, current schema.Object) {
	if current == nil {
		current = old
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.terminating[current.GetNamespace()] {
		c.Enqueue(current.GetNamespace(), controller.CoalesceDelay)
	}
}

func (c *namespaces) reconcile(ctx context.Context, name string) (time.Duration, error) {
	ns, err := registry.For[*corev1.Namespace](c.Registry).Cached(ctx, "", name)
	switch {
	case errors.Is(err, registry.NotFound):
		return 0, c.createSystem(ctx, name)
	case err != nil || ns.DeletionTimestamp == nil:
		return 0, err
	}
	remaining, failed := c.empty(ctx, ns)
	if err := failed.join(); err != nil || remaining.any() {
		return remaining.recheck(), errors.Join(err, c.updateStatus(ctx, ns, remaining, failed))
	}
	if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return 0, nil // a finalizer in metadata keeps it, which is not this controller's to remove
	}
	return 0, c.finalize(ctx, ns)
}

// createSystem creates a namespace that does not exist, if it is one of the system's.
func (c *namespaces) createSystem(ctx context.Context, name string) error {
	if !slices.Contains(systemNamespaces, name) {
		return nil
	}
	err := c.Execute(ctx, []controller.Action{{Do: controller.Create, Kind: core.Namespace, Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, Reason: "every cluster has it"}})
	if errors.Is(err, registry.Exists) {
		return nil
	}
	return err
}

// empty deletes what is in a namespace, pods first: as long as one remains, the other objects stay for it (its network policies,
// its secrets). It returns what remains and what could not be deleted.
func (c *namespaces) empty(ctx context.Context, ns *corev1.Namespace) (remaining remainingContent, failed emptyingErrors) {
	fail := func(err error) {
		if err != nil {
			failed.content = append(failed.content, err)
		}
	}
	remaining, err := c.emptyKind(ctx, core.Pod, ns.Name)
	if fail(err); err != nil || remaining.any() {
		return remaining, failed
	}
	for _, k := range c.Registry.Kinds().Set().All {
		if !k.Namespaced || k == core.Pod {
			continue
		}
		left, err := c.emptyKind(ctx, k, ns.Name)
		remaining = append(remaining, left...)
		fail(err)
	}
	found, err := c.extensions.Discover(ctx)
	failed.discovery, failed.parsing = found.Failed, found.Unparsed
	fail(err)
	for _, r := range found.Resources.Preferred() {
		if !r.Namespaced || !r.Can("delete") {
			continue
		}
		left, err := c.extensions.Empty(ctx, r, ns.Name)
		remaining = append(remaining, remainingObjects(r.Name(), left)...)
		fail(err)
	}
	return remaining, failed
}

func (c *namespaces) emptyKind(ctx context.Context, k *schema.Kind, ns string) (remainingContent, error) {
	list, err := c.Registry.List(ctx, k, ns, registry.ListOptions{})
	if controller.NotServed(err) {
		return nil, nil
	}
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

// updateStatus writes what remains, and what could not be deleted, into the conditions.
func (c *namespaces) updateStatus(ctx context.Context, ns *corev1.Namespace, remaining remainingContent, failed emptyingErrors) error {
	now := time.Now()
	_, err := registry.For[*corev1.Namespace](c.Registry).ModifyStatus(ctx, "", ns.Name, func(m *corev1.Namespace) error {
		if m.UID == ns.UID && m.DeletionTimestamp != nil {
			m.Status.Phase = corev1.NamespaceTerminating
			m.Status.Conditions = remaining.conditions(m.Status.Conditions, failed, now)
		}
		return nil
	})
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// finalize removes the finalizer of a namespace that is empty.
func (c *namespaces) finalize(ctx context.Context, ns *corev1.Namespace) error {
	n := ns.DeepCopy()
	n.Spec.Finalizers = slices.DeleteFunc(n.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
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
