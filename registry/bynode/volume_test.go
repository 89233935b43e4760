package bynode_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/registry/bynode"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// TestLocalVolumeHasACopyForItsNode: the copy is the volume byte for byte, also when it is being deleted, and goes with it.
func TestLocalVolumeHasACopyForItsNode(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	claim := newClaim("u1")
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

// TestRepairOfVolumes: the copy of a volume is mended as a pod's is; a volume deleted past the API loses it.
func TestRepairOfVolumes(t *testing.T) {
	const key, copied = "/registry/persistentvolumes/pvc-u1", "/gantry/bynode/n1/persistentvolumes/pvc-u1"
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, etcd *store.Fake, value string)
		node  string // of the only copy; "": there is none
	}{
		{"a volume changed by hand", func(t *testing.T, s *store.Fake, v string) {
			storetest.Put(t, s, key, strings.Replace(v, `"storage":"1Gi"`, `"storage":"2Gi"`, 1))
		}, "n1"},
		{"a volume moved by hand", func(t *testing.T, s *store.Fake, v string) {
			storetest.Put(t, s, key, strings.ReplaceAll(v, `"n1"`, `"n2"`))
		}, "n2"},
		{"a volume deleted by hand", func(t *testing.T, s *store.Fake, _ string) { storetest.Delete(t, s, key) }, ""},
		{"a copy changed by hand", func(t *testing.T, s *store.Fake, _ string) { storetest.Put(t, s, copied, "rubbish") }, "n1"},
		{"a copy deleted by hand", func(t *testing.T, s *store.Fake, _ string) { storetest.Delete(t, s, copied) }, "n1"},
		{"a copy too many", func(t *testing.T, s *store.Fake, v string) {
			storetest.Put(t, s, "/gantry/bynode/n3/persistentvolumes/pvc-u1", v)
		}, "n1"},
		{"nothing", func(*testing.T, *store.Fake, string) {}, "n1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			registrytest.WithRepair(t, repairByNode(bynode.Observer{}), func(t *testing.T, r *registry.Registry, etcd *store.Fake) {
				pv := volumes.NewLocal(newClaim("u1"), volumes.DefaultClass(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
				registrytest.Must(t)(r.Create(registrytest.Context(t), core.PersistentVolume, pv, registry.WriteOptions{}))
				value, before := storetest.Value(t, etcd, key)
				c.spoil(t, etcd, value)
				time.Sleep(5 * time.Second) // of the bubble's time
				synctest.Wait()
				value, rev := storetest.Value(t, etcd, key)
				copies := storetest.Keys(t, etcd, "/gantry/bynode/")
				if c.node == "" {
					if len(copies) != 0 {
						t.Errorf("copies %v", copies)
					}
					return
				}
				got, at := storetest.Value(t, etcd, "/gantry/bynode/"+c.node+"/persistentvolumes/pvc-u1")
				if len(copies) != 1 || got != value || at != rev {
					t.Errorf("copies %v; the volume at %d, its copy at %d", copies, rev, at)
				}
				if c.name == "nothing" && rev != before {
					t.Errorf("a volume whose copy is right is written again at %d", rev)
				}
			})
		})
	}
}

func newClaim(uid types.UID) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data", UID: uid}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
	}}
}
