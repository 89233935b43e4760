package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/extension"
	"gantry/registry"
	"gantry/schema/core"
)

// Who deletes a namespace in etcd leaves its objects behind. They are deleted like those of a namespace that is deleted, after a time in
// which the namespace can be restored.
const (
	namespaceGCEvery = time.Minute
	// missingFor is how long a namespace must be missing before it is emptied.
	missingFor = 5 * time.Minute
	// More missing namespaces than both of these are taken for a mistake: nothing is deleted until an admin has dealt with it.
	manyMissing      = 3
	manyMissingShare = 0.1
)

// namespaceGC has one key: all namespaces.
type namespaceGC struct {
	*controller.Env
	extensions *extension.Client
	missing    map[string]time.Time // since when a namespace that has objects does not exist
}

// NewNamespaceGC deletes the objects of namespaces that were deleted past the API, those of extension servers through gateway.
func NewNamespaceGC(gateway controller.Gateway) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		c := &namespaceGC{Env: e, extensions: &extension.Client{Registry: e.Registry, Gateway: gateway}, missing: map[string]time.Time{}}
		return controller.Reconciler{Reconcile: c.reconcile, Run: c.EnqueueOnce("namespaces")}
	}
}

func (c *namespaceGC) reconcile(ctx context.Context, _ string) (time.Duration, error) {
	missing, err := c.withObjects(ctx)
	if err != nil {
		return namespaceGCEvery, err
	}
	list, err := c.Registry.List(ctx, core.Namespace, "", registry.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return namespaceGCEvery, err
	}
	for _, it := range list.Items {
		delete(missing, it.Name)
	}
	due, held := c.due(missing, len(list.Items), time.Now())
	if held > 0 {
		c.Log.Error("namespaces vanished from etcd, their objects are kept", "namespaces", held,
			"reason", "many namespaces were deleted past the API; restore them, or delete their objects")
		about := corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: metav1.NamespaceSystem, Name: metav1.NamespaceSystem}
		c.Events.Ref(about, corev1.EventTypeWarning, "NamespacesVanished",
			"%d namespaces vanished from etcd without being deleted through the API: their objects are kept until the namespaces are restored, or their objects deleted", held)
	}
	var errs []error
	for _, name := range due {
		errs = append(errs, c.empty(ctx, name))
	}
	return namespaceGCEvery, errors.Join(errs...)
}

// withObjects are the namespaces that have objects.
func (c *namespaceGC) withObjects(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	for _, k := range c.Registry.Kinds().Set().All {
		if !k.Namespaced {
			continue
		}
		list, err := c.Registry.List(ctx, k, "", registry.ListOptions{ResourceVersion: "0"})
		if controller.NotServed(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		last := ""
		for _, it := range list.Items { // in the order of namespaces
			if it.Namespace != last {
				last = it.Namespace
				names[last] = true
			}
		}
	}
	return names, nil
}

// due are the namespaces to empty of those that are missing now, while existing are there; held is how many are kept because too many
// are missing at once.
func (c *namespaceGC) due(missing map[string]bool, existing int, now time.Time) (due []string, held int) {
	maps.DeleteFunc(c.missing, func(name string, _ time.Time) bool { return !missing[name] })
	for name := range missing {
		since, known := c.missing[name]
		if !known {
			c.missing[name] = now
		} else if now.Sub(since) >= missingFor {
			due = append(due, name)
		}
	}
	if n := len(missing); n > manyMissing && float64(n) > manyMissingShare*float64(existing+n) {
		return nil, n
	}
	slices.Sort(due)
	return due, 0
}

// empty deletes what is in a namespace that does not exist.
func (c *namespaceGC) empty(ctx context.Context, name string) error {
	_, err := c.Registry.Get(ctx, core.Namespace, "", name, "")
	if !errors.Is(err, registry.NotFound) {
		return err // it exists, or cannot be read
	}
	c.Log.Warn("emptying a namespace that does not exist", "ns", name, "reason", fmt.Sprintf("it has been missing for %s", missingFor))
	_, failed := (&namespaces{Env: c.Env, extensions: c.extensions}).empty(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	return failed.join()
}
