package authorize_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/gateway/gatewaytest"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// TestNodeAndVolumes: a node reads the claims of its pods and their volumes, and of its own local volumes it removes the finalizer once they
// are being deleted. Nothing else.
func TestNodeAndVolumes(t *testing.T) {
	c := gatewaytest.New(t)
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	claim := func(name string) *corev1.PersistentVolumeClaim {
		obj := c.Make(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: size}}})
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(obj.UID())},
			Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: size}}}
	}
	local := func(name, node string) {
		pv := volumes.NewLocal(claim("of-"+name), volumes.DefaultClass(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
		pv.Name = name
		c.Make(pv)
	}
	static := func(name string, of *corev1.PersistentVolumeClaim) {
		c.Make(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, ClaimRef: volumes.ReferenceTo(of),
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/" + name}},
		}})
	}
	static("disk-mine", claim("mine"))
	static("disk-others", claim("others"))
	local("kept", "n1")
	local("leaving", "n1")
	local("foreign", "n2")
	for _, name := range []string{"leaving", "foreign"} {
		if _, _, err := c.Registry.Delete(t.Context(), core.PersistentVolume, "", name, registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, on := range map[string]string{"mine": "n1", "others": "n2"} {
		pod := gatewaytest.Pod(name, on)
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
		c.Make(pod)
	}
	node := c.Client(c.Node("n1").Certificate)
	const merge = "Content-Type: application/merge-patch+json"
	const released = `{"metadata":{"finalizers":["kubernetes.io/pv-protection"]}}`
	const unrelated = "no relationship found between node 'n1' and this object"
	for _, tt := range []struct {
		name, method, path, body string
		code                     int
		want                     string
	}{
		{"a claim of its pod", "GET", "/api/v1/namespaces/default/persistentvolumeclaims/mine", "", 200, `"mine"`},
		{"by its key", "GET", "/registry/persistentvolumeclaims/default/mine", "", 200, `"mine"`},
		{"another's", "GET", "/api/v1/namespaces/default/persistentvolumeclaims/others", "", 403, unrelated},
		{"all claims", "GET", "/api/v1/persistentvolumeclaims", "", 403, "can only get individual resources of this type"},
		{"writes no claim", "PATCH", "/api/v1/namespaces/default/persistentvolumeclaims/mine", `{"metadata":{"labels":{"a":"b"}}}`, 403, "can only get individual"},
		{"nor its status", "PATCH", "/api/v1/namespaces/default/persistentvolumeclaims/mine/status", `{"status":{"phase":"Lost"}}`, 403, "can only get individual"},
		{"the volume of its pod's claim", "GET", "/api/v1/persistentvolumes/disk-mine", "", 200, `"disk-mine"`},
		{"another's", "GET", "/api/v1/persistentvolumes/disk-others", "", 403, unrelated},
		{"its local volume", "GET", "/api/v1/persistentvolumes/leaving", "", 200, `"leaving"`},
		{"of another node", "GET", "/api/v1/persistentvolumes/foreign", "", 403, unrelated},
		{"that is gone", "GET", "/api/v1/persistentvolumes/absent", "", 404, "not found"},
		{"all volumes", "GET", "/api/v1/persistentvolumes", "", 403, "can only get individual resources of this type"},
		{"makes none", "POST", "/api/v1/persistentvolumes", `{"metadata":{"name":"x"}}`, 403, "can only get individual"},
		{"makes none by an update", "PUT", "/api/v1/persistentvolumes/x", `{"metadata":{"name":"x"}}`, 404, "not found"},
		{"makes none by apply", "PATCH", "/api/v1/persistentvolumes/x?fieldManager=m", `{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"x"},"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"},"hostPath":{"path":"/etc"}}}`, 403, "is not allowed to create volumes"},
		{"deletes none", "DELETE", "/api/v1/persistentvolumes/leaving", "", 403, "can only get individual"},
		{"the volume of its pod's claim is read only", "PATCH", "/api/v1/persistentvolumes/disk-mine", `{"metadata":{"finalizers":null}}`, 403, unrelated},
		{"a foreign finalizer", "PATCH", "/api/v1/persistentvolumes/foreign", released, 403, unrelated},
		{"one that is not being deleted", "PATCH", "/api/v1/persistentvolumes/kept", released, 403, "can only remove the finalizer gantry.io/local-volume from a volume that is being deleted"},
		{"another finalizer", "PATCH", "/api/v1/persistentvolumes/leaving", `{"metadata":{"finalizers":["gantry.io/local-volume"]}}`, 403, "can only remove the finalizer"},
		{"all finalizers", "PATCH", "/api/v1/persistentvolumes/leaving", `{"metadata":{"finalizers":null}}`, 403, "can only remove the finalizer"},
		{"a label with it", "PATCH", "/api/v1/persistentvolumes/leaving", `{"metadata":{"labels":{"a":"b"},"finalizers":["kubernetes.io/pv-protection"]}}`, 403, "can only remove the finalizer"},
		{"its policy", "PATCH", "/api/v1/persistentvolumes/leaving", `{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`, 403, "can only remove the finalizer"},
		{"its status", "PATCH", "/api/v1/persistentvolumes/leaving/status", `{"status":{"phase":"Released"}}`, 403, "cannot get subresource"},
		{"its own finalizer", "PATCH", "/api/v1/persistentvolumes/leaving", released, 200, `"finalizers":["kubernetes.io/pv-protection"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.method == "PATCH" {
				headers = []string{merge}
				if strings.Contains(tt.path, "fieldManager") {
					headers = []string{"Content-Type: application/apply-patch+yaml"}
				}
			}
			a := c.Do(node, tt.method, tt.path, tt.body, headers...)
			if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}
