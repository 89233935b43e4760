package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAttachmentName is kube-controller-manager's for a volume, a driver and a node.
func TestAttachmentName(t *testing.T) {
	got := attachmentName(&corev1.CSIPersistentVolumeSource{Driver: "hostpath.csi.k8s.io", VolumeHandle: "vol-1"}, "n1")
	// printf 'vol-1hostpath.csi.k8s.ion1' | sha256sum
	if want := "csi-ffffc29a669717b61299488392f67014c84daf009b3c45d06bb6627113f72dbe"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAttachPlans(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk", VolumeHandle: "d1"}},
	}}
	shared := pv.DeepCopy()
	shared.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	attachment := func(node string, change ...func(*storagev1.VolumeAttachment)) *storagev1.VolumeAttachment {
		a := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: attachmentName(pv.Spec.CSI, node), CreationTimestamp: metav1.NewTime(now)},
			Spec: storagev1.VolumeAttachmentSpec{Attacher: "disk", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv.Name}}}
		for _, f := range change {
			f(a)
		}
		return a
	}
	attached := func(a *storagev1.VolumeAttachment) { a.Status.Attached = true }
	node := func(change ...func(*corev1.Node)) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
		for _, f := range change {
			f(n)
		}
		return n
	}
	inUse := func(n *corev1.Node) { n.Status.VolumesInUse = []corev1.UniqueVolumeName{"kubernetes.io/csi/disk^d1"} }
	told := func(n *corev1.Node) {
		n.Status.VolumesAttached = []corev1.AttachedVolume{{Name: "kubernetes.io/csi/disk^d1"}}
	}
	notReady := func(since time.Duration) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, LastTransitionTime: metav1.NewTime(now.Add(-since))}}
		}
	}
	all := func(a ...*storagev1.VolumeAttachment) []*storagev1.VolumeAttachment { return a }
	for _, c := range []struct {
		name        string
		node        *corev1.Node
		wanted      *corev1.PersistentVolume
		attachments []*storagev1.VolumeAttachment
		want        string
	}{
		{"a volume that a pod uses", node(), pv, nil, "create; again after 2m0s"},
		{"on a node that is gone", nil, pv, nil, ""},
		{"until it is attached", node(), pv, all(attachment("n1")), "again after 2m0s"},
		{"attached", node(), pv, all(attachment("n1", attached)), `update status of [kubernetes.io/csi/disk^d1]; SuccessfulAttachVolume AttachVolume.Attach succeeded for volume "pv" `},
		{"attached and told", node(told, inUse), pv, all(attachment("n1", attached)), ""},
		{"an error of the driver", node(), pv, all(attachment("n1", func(a *storagev1.VolumeAttachment) { a.Status.AttachError = &storagev1.VolumeError{Message: "no room"} })),
			`FailedAttachVolume AttachVolume.Attach failed for volume "pv" : no room`},
		{"no driver", node(), pv, all(attachment("n1", func(a *storagev1.VolumeAttachment) { a.CreationTimestamp = metav1.NewTime(now.Add(-attachTimeout)) })),
			`FailedAttachVolume AttachVolume.Attach failed for volume "pv" : timed out waiting for external-attacher of disk CSI driver to attach volume d1; again after 2m0s`},
		{"on another node still", node(), pv, all(attachment("n2", attached)),
			`FailedAttachVolume Multi-Attach error for volume "pv" Volume is already exclusively attached to one node and can't be attached to another; again after 5s`},
		{"on another node, of many", node(), shared, all(attachment("n2", attached)), "create; again after 2m0s"},
		{"not used any more", node(told), nil, all(attachment("n1", attached)), "delete"},
		{"mounted still", node(told, inUse), nil, all(attachment("n1", attached)), ""},
		{"mounted on a node that is not ready", node(told, inUse, notReady(time.Minute)), nil, all(attachment("n1", attached)), "again after 5m0s"},
		{"mounted on a node that is not ready for long", node(told, inUse, notReady(time.Hour)), nil, all(attachment("n1", attached)), "delete"},
		{"mounted on a node out of service", node(told, inUse, func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
		}), nil, all(attachment("n1", attached)), "delete"},
		{"of a node that is gone", nil, nil, all(attachment("n1", attached)), "delete"},
		{"being detached", node(told), pv, all(attachment("n1", attached, func(a *storagev1.VolumeAttachment) { a.DeletionTimestamp = &metav1.Time{Time: now} })), ""},
		{"detached", node(told), nil, nil, "update status of []"},
		{"somebody's own", node(), nil, all(attachment("n1", func(a *storagev1.VolumeAttachment) { a.Name = "by-hand" })), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := attachState{name: "n1", node: c.node, wanted: map[string]*wantedVolume{}, attachments: c.attachments, volumes: map[string]*corev1.PersistentVolume{"pv": pv}, now: now}
			if c.wanted != nil {
				s.wanted["pv"] = &wantedVolume{c.wanted, []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "web"}}}}
			}
			p := planAttachments(s)
			var got []string
			for _, a := range p.actions {
				line := string(a.Do)
				if n, ok := a.Object.(*corev1.Node); ok {
					names := []string{}
					for _, v := range n.Status.VolumesAttached {
						names = append(names, string(v.Name))
					}
					line += fmt.Sprintf(" %v", names)
				}
				got = append(got, line)
			}
			for _, ev := range p.events {
				got = append(got, ev.Reason+" "+ev.Message)
			}
			if p.after > 0 {
				got = append(got, "again after "+p.after.String())
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("plan\n%s\nwant\n%s", text, c.want)
			}
		})
	}
}
