package storage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func newAttachment() *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "a1", CreationTimestamp: now},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: "csi.example.com", NodeName: "n1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr("pv")}},
	}
}

func TestVolumeAttachmentErrors(t *testing.T) {
	type attachment = storagev1.VolumeAttachment
	const one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
	inline := func() *corev1.PersistentVolumeSpec {
		return &corev1.PersistentVolumeSpec{
			AccessModes:            []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: "h"}},
		}
	}
	checktest.Create(t, VolumeAttachment, newAttachment, []checktest.Case[*attachment]{
		{Name: "valid"},
		{"inline", func(a *attachment) { a.Spec.Source = storagev1.VolumeAttachmentSource{InlineVolumeSpec: inline()} }, nil},
		{"empty", func(a *attachment) { a.Spec = storagev1.VolumeAttachmentSpec{} }, []string{
			"spec.attacher: Required value", "spec.source: Required value: " + one, `spec.nodeName: Invalid value: "": ` + subdomainRule,
		}},
		{"two volumes", func(a *attachment) { a.Spec.Source.InlineVolumeSpec = inline() }, []string{"spec.source: Forbidden: " + one}},
		{"no name", func(a *attachment) { a.Spec.Source.PersistentVolumeName = ptr("") }, []string{
			"spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName",
			`spec.source.persistentVolumeName: Invalid value: "": ` + subdomainRule,
		}},
		{"inline errors", func(a *attachment) {
			a.Spec.Source = storagev1.VolumeAttachmentSource{InlineVolumeSpec: &corev1.PersistentVolumeSpec{}}
		}, []string{
			"spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes",
			"spec.source.inlineVolumeSpec.accessModes: Required value", "spec.source.inlineVolumeSpec: Required value: must specify a volume type",
		}},
		{"what the attacher tells", func(a *attachment) {
			a.Status.AttachmentMetadata = map[string]string{"a": strings.Repeat("x", 256<<10)}
			a.Status.AttachError = &storagev1.VolumeError{Message: strings.Repeat("x", 1025), ErrorCode: ptr(int32(-1))}
		}, []string{
			"status.attachmentMetadata: Too long: may not be more than 262144 bytes", "status.attachError.message: Too long: may not be more than 262144 bytes",
			"status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
		}},
	})
	checktest.Update(t, VolumeAttachment, newAttachment, []checktest.Case[*attachment]{
		{"labels", func(a *attachment) { a.Labels = map[string]string{"a": "b"} }, nil},
		{"node", func(a *attachment) { a.Spec.NodeName = "n2" },
			[]string{`spec: Invalid value: {"Attacher":"csi.example.com","Source":{"PersistentVolumeName":"pv","InlineVolumeSpec":null},"NodeName":"n2"}: field is immutable`}},
	})
}

func TestVolumeAttachment(t *testing.T) {
	old, a := newAttachment(), newAttachment()
	old.Status.Attached = true
	a.Labels, a.Spec.NodeName = map[string]string{"a": "b"}, "n2"
	status := a.DeepCopy()
	if VolumeAttachment.PrepareUpdate(a, old); !a.Status.Attached {
		t.Error("an update has changed the status")
	}
	if VolumeAttachment.Subresource("status").Prepare(status, old); status.Labels != nil || status.Spec.NodeName != "n1" || status.Status.Attached {
		t.Errorf("after a write of the status: %+v", status)
	}
	if diff := cmp.Diff([]any{"a1", "csi.example.com", "pv", "n1", true, "0s"}, VolumeAttachment.Row(old, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	if VolumeAttachment.PrepareCreate(old); old.Status.Attached {
		t.Error("a create has set the status")
	}
	old.Spec.Source.InlineVolumeSpec = &corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{}}}
	if VolumeAttachment.Default(old); old.Spec.Source.InlineVolumeSpec.ISCSI.ISCSIInterface != "default" || old.Spec.Source.InlineVolumeSpec.VolumeMode != nil {
		t.Errorf("defaults: %+v", old.Spec.Source.InlineVolumeSpec)
	}
}
