package storage_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/storage"
)

// TestVolumesOfDriversAreAttached: a volume is attached to the node of the pod that uses it, the node's status tells that its driver
// did so, and it is detached when the pod is gone, whoever leads meanwhile.
func TestVolumesOfDriversAreAttached(t *testing.T) {
	c := controllertest.Start(t, nil)
	c.Ready()
	disk := func(name, driver string) string {
		return strings.NewReplacer("NAME", name, "DRIVER", driver).Replace(`apiVersion: v1
kind: PersistentVolume
metadata: {name: NAME}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  claimRef: {namespace: default, name: NAME}
  csi: {driver: DRIVER, volumeHandle: NAME}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: default, name: NAME}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", volumeName: NAME, resources: {requests: {storage: 1Gi}}}
---
`)
	}
	c.Apply(disk("attached", "disk.example.com") + disk("direct", "direct.example.com") + `apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: direct.example.com}
spec: {attachRequired: false}
`)
	c.Until(func() string {
		for _, name := range []string{"attached", "direct"} {
			if claim, ok := controllertest.Get[*corev1.PersistentVolumeClaim](c, "default", name); !ok || claim.Status.Phase != corev1.ClaimBound {
				return name + " to be bound"
			}
		}
		return ""
	}, core.PersistentVolumeClaim)
	c.Apply(`apiVersion: v1
kind: Pod
metadata: {namespace: default, name: db}
spec:
  containers: [{name: c, image: "db:1"}]
  volumes:
  - {name: a, persistentVolumeClaim: {claimName: attached}}
  - {name: b, persistentVolumeClaim: {claimName: direct}}
`)
	attachments := func() []*storagev1.VolumeAttachment {
		return controllertest.List[*storagev1.VolumeAttachment](c, "", "")
	}
	c.Until(func() string {
		if all := attachments(); len(all) != 1 || *all[0].Spec.Source.PersistentVolumeName != "attached" || all[0].Spec.NodeName == "" {
			return "an attachment of the volume attached"
		}
		return ""
	}, storage.VolumeAttachment)
	c.Restart()
	va := attachments()[0]
	if _, err := registry.For[*storagev1.VolumeAttachment](c.Registry).ModifyStatus(c.Context, "", va.Name, func(a *storagev1.VolumeAttachment) error {
		a.Status.Attached = true // as the driver's external-attacher does
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	told := func(want int) func() string {
		return func() string {
			n, ok := controllertest.Get[*corev1.Node](c, "", va.Spec.NodeName)
			if !ok || len(n.Status.VolumesAttached) != want {
				return "another list of attached volumes"
			}
			return ""
		}
	}
	c.Until(told(1), core.Node)
	if err := registry.For[*corev1.Pod](c.Registry).Delete(c.Context, "default", "db", registry.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	c.Until(func() string {
		if len(attachments()) > 0 {
			return "the end of the attachment"
		}
		return ""
	}, storage.VolumeAttachment)
	c.Until(told(0), core.Node)
}
