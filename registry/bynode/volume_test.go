package bynode_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// TestLocalVolumeHasACopyForItsNode: the copy is the volume byte for byte, also when it is being deleted, and goes with it.
func TestLocalVolumeHasACopyForItsNode(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data", UID: "u1"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
	}}
	pv := volumes.NewLocal(claim, volumes.DefaultClass(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	other := volumes.NewLocal(claim, volumes.DefaultClass(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	other.Name, other.Annotations = "by-hand", map[string]string{volumes.LocalNode: "n1"}
	for _, v := range []*corev1.PersistentVolume{pv, other} {
		registrytest.Must(t)(r.Create(ctx, core.PersistentVolume, v, registry.WriteOptions{}))
	}
	const key = "/gantry/bynode/n1/persistentvolumes/pvc-u1"
	same := func(when string) {
		t.Helper()
		want, rev := storetest.Value(t, etcd, "/registry/persistentvolumes/pvc-u1")
		got, at := storetest.Value(t, etcd, key)
		if keys := storetest.Keys(t, etcd, "/gantry/bynode/"); len(keys) != 1 || got != want || at != rev {
			t.Errorf("%s: copies %v; the volume at %d, its copy at %d", when, keys, rev, at)
		}
	}
	same("created")
	if _, _, err := r.Delete(ctx, core.PersistentVolume, "", pv.Name, registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	same("being deleted")
	_, err := registry.For[*corev1.PersistentVolume](r).Modify(ctx, "", pv.Name, func(pv *corev1.PersistentVolume) error { pv.Finalizers = nil; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if keys := storetest.Keys(t, etcd, "/gantry/bynode/"); len(keys) != 0 {
		t.Errorf("copies of a volume that is gone: %v", keys)
	}
}
