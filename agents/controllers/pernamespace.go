package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// perNamespace asks for a look at a namespace when it comes, and when the object of a name in it changes.
func perNamespace(e *env, kind *schema.Kind, name string) []watch {
	return []watch{
		{core.Namespace, func(old, current schema.Object) {
			if current != nil {
				e.add(current.GetName(), 0)
			}
		}},
		{kind, func(old, current schema.Object) {
			if old != nil && old.GetName() == name {
				e.add(old.GetNamespace(), 0)
			}
		}},
	}
}

// intoNamespace executes a plan for a namespace that is there to stay; another one needs nothing.
func intoNamespace(ctx context.Context, e *env, name string, plan []action) error {
	ns, err := registry.For[*corev1.Namespace](e.r).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for namespace %s: %w", name, err)
	}
	if ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating {
		return nil
	}
	err = e.execute(ctx, plan)
	if errors.Is(err, registry.Exists) {
		return nil // somebody was faster
	}
	return err
}
