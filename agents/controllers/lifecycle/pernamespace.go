package lifecycle

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// perNamespace enqueues a namespace when it changes, and when the object of a name in it changes.
func perNamespace(e *controller.Env, kind *schema.Kind, name string) []controller.Watch {
	return []controller.Watch{
		{Kind: core.Namespace, Keys: func(old, current schema.Object) {
			if current != nil {
				e.Enqueue(current.GetName(), 0)
			}
		}},
		{Kind: kind, Keys: func(old, current schema.Object) {
			if old != nil && old.GetName() == name {
				e.Enqueue(old.GetNamespace(), 0)
			}
		}},
	}
}

// executeInNamespace executes a plan for what every namespace has, unless the namespace does not exist or is being deleted.
func executeInNamespace(ctx context.Context, e *controller.Env, name string, plan []controller.Action) error {
	ns, err := registry.For[*corev1.Namespace](e.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("getting namespace %s: %w", name, err)
	}
	if ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating {
		return nil
	}
	err = e.Execute(ctx, plan)
	if errors.Is(err, registry.Exists) {
		return nil // somebody else created it
	}
	return err
}
