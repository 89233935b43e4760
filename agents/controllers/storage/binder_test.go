package storage_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// boundLocalVolume makes a claim of the class of local volumes whose node is n1, and returns the name of its volume.
func boundLocalVolume(c *controllertest.Cluster, claim string) (volume string) {
	c.T.Helper()
	untilClassCreated(c)
	c.Apply(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: default, name: ` + claim + `, annotations: {volume.kubernetes.io/selected-node: n1}}
spec: {accessModes: [ReadWriteOnce], storageClassName: local, resources: {requests: {storage: 1Gi}}}
`)
	c.Until(func() string {
		if pvc, ok := controllertest.Get[*corev1.PersistentVolumeClaim](c, "default", claim); ok && pvc.Status.Phase == corev1.ClaimBound {
			volume = pvc.Spec.VolumeName
			return ""
		}
		return "the claim's volume"
	}, core.PersistentVolumeClaim)
	return volume
}

// TestLocalVolumeIsProvisionedAndReclaimed plays the scheduler's part for a claim of local volumes: the claim is bound, the leader
// changes, and the volume goes with the claim once the kubelet has removed the directory.
func TestLocalVolumeIsProvisionedAndReclaimed(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	volume := boundLocalVolume(c, "data")
	claims, all := registry.For[*corev1.PersistentVolumeClaim](c.Registry), registry.For[*corev1.PersistentVolume](c.Registry)
	c.Restart()
	if err := claims.Delete(c.Context, "default", "data", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if pv, ok := controllertest.Get[*corev1.PersistentVolume](c, "", volume); !ok || pv.DeletionTimestamp == nil {
			return "the volume's deletion"
		}
		return ""
	}, core.PersistentVolume)
	_, err := all.Modify(c.Context, "", volume, func(pv *corev1.PersistentVolume) error {
		if pv.Spec.Local == nil || volumes.LocalNodeOf(pv) != "n1" {
			t.Errorf("the volume: %+v", pv.Spec)
		}
		pv.Finalizers = slices.DeleteFunc(pv.Finalizers, func(f string) bool { return f == volumes.LocalFinalizer })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if _, there := controllertest.Get[*corev1.PersistentVolume](c, "", volume); there {
			return "the end of the volume"
		}
		return ""
	}, core.PersistentVolume)
}

// TestVolumeOutlivesAClaimThatVanishes: a claim that is deleted in etcd, past the API, takes no data with it, and when it is put back the
// volume is bound as before.
func TestVolumeOutlivesAClaimThatVanishes(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	const claim = "/registry/persistentvolumeclaims/default/data"
	volume := boundLocalVolume(c, "data")
	value, _ := storetest.Value(t, c.Store, claim)
	phase := func(want corev1.PersistentVolumePhase) {
		t.Helper()
		c.Until(func() string {
			pv, ok := controllertest.Get[*corev1.PersistentVolume](c, "", volume)
			if !ok || pv.DeletionTimestamp != nil || pv.Status.Phase != want {
				return fmt.Sprintf("the volume as %s", want)
			}
			return ""
		}, core.PersistentVolume)
	}
	phase(corev1.VolumeBound)
	storetest.Delete(t, c.Store, claim)
	phase(corev1.VolumeReleased)
	c.Until(func() string {
		all, err := registry.For[*corev1.Event](c.Registry).CachedList(c.Context, "default", "")
		if err != nil || !slices.ContainsFunc(all, func(e *corev1.Event) bool { return e.Reason == "VolumeKept" && e.InvolvedObject.Name == volume }) {
			return "the event that tells of the kept volume"
		}
		return ""
	}, core.Event)
	c.Restart()
	storetest.Put(t, c.Store, claim, value)
	phase(corev1.VolumeBound)
	if err := registry.For[*corev1.PersistentVolumeClaim](c.Registry).Delete(c.Context, "default", "data", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if pv, ok := controllertest.Get[*corev1.PersistentVolume](c, "", volume); !ok || pv.DeletionTimestamp == nil {
			return "the volume's deletion"
		}
		return ""
	}, core.PersistentVolume)
}

// TestStaticVolumesAreBound: the smallest volume that fits is bound, and kept when its claim goes.
func TestStaticVolumesAreBound(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	c.Apply(`apiVersion: v1
kind: PersistentVolume
metadata: {name: big}
spec: {accessModes: [ReadWriteOnce], storageClassName: manual, capacity: {storage: 5Gi}, hostPath: {path: /big}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: small}
spec: {accessModes: [ReadWriteOnce], storageClassName: manual, capacity: {storage: 2Gi}, hostPath: {path: /small}}
`)
	phase := func(name string, want corev1.PersistentVolumePhase) {
		t.Helper()
		c.Until(func() string {
			if pv, ok := controllertest.Get[*corev1.PersistentVolume](c, "", name); !ok || pv.Status.Phase != want {
				return name + " " + string(want)
			}
			return ""
		}, core.PersistentVolume)
	}
	phase("big", corev1.VolumeAvailable)
	phase("small", corev1.VolumeAvailable)
	c.Apply(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: default, name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: manual, resources: {requests: {storage: 1Gi}}}
`)
	phase("small", corev1.VolumeBound)
	if err := registry.For[*corev1.PersistentVolumeClaim](c.Registry).Delete(c.Context, "default", "data", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	phase("small", corev1.VolumeReleased)
	phase("big", corev1.VolumeAvailable)
}
