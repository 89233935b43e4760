package storage_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/storage"
)

// TestStorageStaysWhileItIsUsed deletes a claim that a pod mounts, the claim's class and a bound volume: each goes when its user does.
func TestStorageStaysWhileItIsUsed(t *testing.T) {
	// The binder would set the phase of the volume.
	c := controllertest.Start(t, func(cfg *controllers.Config) { cfg.Controllers = []string{"*", "-persistentvolumebinder"} })
	c.Ready()
	c.Apply(`apiVersion: storage.k8s.io/v1
kind: VolumeAttributesClass
metadata: {name: gold}
driverName: disk.example.com
parameters: {a: b}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: default, name: data}
spec: {accessModes: [ReadWriteOnce], volumeAttributesClassName: gold, resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, hostPath: {path: /disk}}
---
apiVersion: v1
kind: Pod
metadata: {namespace: default, name: db}
spec:
  containers: [{name: c, image: db}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`)
	claims, volumes, classes := registry.For[*corev1.PersistentVolumeClaim](c.Registry), registry.For[*corev1.PersistentVolume](c.Registry), registry.For[*storagev1.VolumeAttributesClass](c.Registry)
	phase := func(phase corev1.PersistentVolumePhase) {
		t.Helper()
		if _, err := volumes.ModifyStatus(c.Context, "", "disk", func(pv *corev1.PersistentVolume) error { pv.Status.Phase = phase; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	phase(corev1.VolumeBound)
	c.Until(func() string {
		if p, _ := controllertest.Get[*corev1.Pod](c, "default", "db"); p == nil || p.Spec.NodeName == "" {
			return "the pod's node"
		}
		return ""
	}, core.Pod)
	for _, err := range []error{
		claims.Delete(c.Context, "default", "data", registry.DeleteOptions{}),
		volumes.Delete(c.Context, "", "disk", registry.DeleteOptions{}),
		classes.Delete(c.Context, "", "gold", registry.DeleteOptions{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Apply(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: default, name: unused}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`)
	if err := claims.Delete(c.Context, "default", "unused", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gone := func(what string, there bool) string {
		if there {
			return "the end of " + what
		}
		return ""
	}
	c.Until(func() string {
		_, there := controllertest.Get[*corev1.PersistentVolumeClaim](c, "default", "unused")
		return gone("the unused claim", there)
	}, core.PersistentVolumeClaim)
	if pvc, ok := controllertest.Get[*corev1.PersistentVolumeClaim](c, "default", "data"); !ok || pvc.DeletionTimestamp == nil || pvc.Finalizers[0] != "kubernetes.io/pvc-protection" {
		t.Errorf("the claim of a pod: %v, there %v", pvc, ok)
	}
	if pv, ok := controllertest.Get[*corev1.PersistentVolume](c, "", "disk"); !ok || pv.Finalizers[0] != "kubernetes.io/pv-protection" {
		t.Errorf("the bound volume: %v, there %v", pv, ok)
	}
	if class, ok := controllertest.Get[*storagev1.VolumeAttributesClass](c, "", "gold"); !ok || class.Finalizers[0] != "kubernetes.io/vac-protection" {
		t.Errorf("the class of a claim: %v, there %v", class, ok)
	}
	phase(corev1.VolumeReleased)
	if err := registry.For[*corev1.Pod](c.Registry).Delete(c.Context, "default", "db", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		_, claim := controllertest.Get[*corev1.PersistentVolumeClaim](c, "default", "data")
		_, volume := controllertest.Get[*corev1.PersistentVolume](c, "", "disk")
		_, class := controllertest.Get[*storagev1.VolumeAttributesClass](c, "", "gold")
		return gone("the claim", claim) + gone("the volume", volume) + gone("the class", class)
	}, core.PersistentVolumeClaim, core.PersistentVolume, storage.VolumeAttributesClass)
}
