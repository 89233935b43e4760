package storage_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// untilClassCreated waits until the cluster has had the class of local volumes.
func untilClassCreated(c *controllertest.Cluster) {
	c.T.Helper()
	c.Until(func() string {
		if ns, ok := controllertest.Get[*corev1.Namespace](c, "", "kube-system"); !ok || ns.Annotations[volumes.ClassCreated] != "local" {
			return "the mark that the class was created"
		}
		return ""
	}, core.Namespace)
}

// TestDefaultClassIsCreatedOnce: a class that an administrator deletes stays deleted, over restarts too.
func TestDefaultClassIsCreatedOnce(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	untilClassCreated(c)
	class, ok := controllertest.Get[*storagev1.StorageClass](c, "", "local")
	if !ok || !storage.IsDefault(class) || class.Provisioner != "gantry.io/local" || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
		t.Fatalf("the class is %+v", class)
	}
	if err := registry.For[*storagev1.StorageClass](c.Registry).Delete(c.Context, "", "local", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Restart()
	// The binder's answer to a later claim shows that the controllers have looked at what is there.
	c.Apply(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: default, name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: local, resources: {requests: {storage: 1Gi}}}
`)
	c.Until(func() string {
		pvc, _ := controllertest.Get[*corev1.PersistentVolumeClaim](c, "default", "data")
		for _, ev := range controllertest.List[*corev1.Event](c, "default", "") {
			if pvc != nil && ev.InvolvedObject.UID == pvc.UID && ev.Reason == "ProvisioningFailed" {
				return ""
			}
		}
		return "an event that the class is not found"
	}, core.Event)
	if _, ok := controllertest.Get[*storagev1.StorageClass](c, "", "local"); ok {
		t.Error("the class that was deleted is back")
	}
}

// TestDefaultClassLeavesADefaultAlone: in a cluster that has a default class, the class of local volumes is not one.
func TestDefaultClassLeavesADefaultAlone(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	untilClassCreated(c)
	classes := registry.For[*storagev1.StorageClass](c.Registry)
	other := volumes.DefaultClass()
	other.Name = "fast"
	_, err := classes.Create(c.Context, other)
	if err := errors.Join(err, classes.Delete(c.Context, "", "local", registry.DeleteOptions{})); err != nil {
		t.Fatal(err)
	}
	// Without the mark the cluster has never had the class.
	if _, err := registry.For[*corev1.Namespace](c.Registry).Modify(c.Context, "", "kube-system", func(ns *corev1.Namespace) error {
		delete(ns.Annotations, volumes.ClassCreated)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.Restart()
	untilClassCreated(c)
	if class, ok := controllertest.Get[*storagev1.StorageClass](c, "", "local"); !ok || storage.IsDefault(class) {
		t.Errorf("the class is %+v", class)
	}
}
