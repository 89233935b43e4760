package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// NewDefaultClass creates the storage class of local volumes once in a cluster's life. The namespace kube-system is annotated then: a class that
// an administrator deletes stays deleted. Its only key is the class's name.
func NewDefaultClass(e *controller.Env) controller.Reconciler {
	return controller.Reconciler{
		Reconcile: func(ctx context.Context, _ string) (time.Duration, error) {
			return 0, createDefaultClass(ctx, e)
		},
		Watches: []controller.Watch{{Kind: core.Namespace, Keys: func(old, current schema.Object) {
			if old == nil && current.GetName() == metav1.NamespaceSystem {
				e.Enqueue(volumes.LocalClass, 0)
			}
		}}},
	}
}

func createDefaultClass(ctx context.Context, e *controller.Env) error {
	namespaces := registry.For[*corev1.Namespace](e.Registry)
	system, err := namespaces.Get(ctx, "", metav1.NamespaceSystem)
	if errors.Is(err, registry.NotFound) || err == nil && annotated(system, volumes.ClassCreated) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading namespace %s: %w", metav1.NamespaceSystem, err)
	}
	all, err := list[*storagev1.StorageClass](ctx, e, storage.StorageClass, "", true)
	if err != nil {
		return fmt.Errorf("listing storage classes: %w", err)
	}
	class := volumes.DefaultClass()
	if slices.ContainsFunc(all, storage.IsDefault) {
		class.Annotations = nil // claims that name no class keep the one that they get
	}
	err = e.Execute(ctx, []controller.Action{{Do: controller.Create, Kind: storage.StorageClass, Object: class, Reason: "the cluster has not had it yet"}})
	if err != nil && !errors.Is(err, registry.Exists) {
		return err
	}
	_, err = namespaces.Modify(ctx, "", metav1.NamespaceSystem, func(ns *corev1.Namespace) error {
		volumes.Annotate(ns, volumes.ClassCreated, volumes.LocalClass)
		return nil
	})
	if err != nil && !errors.Is(err, registry.NotFound) {
		return fmt.Errorf("annotating namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return nil
}
