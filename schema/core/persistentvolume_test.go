package core

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func newVolume() *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: storage("1Gi"), AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
		},
	}
}

func csiVolume() *corev1.PersistentVolume {
	pv := newVolume()
	pv.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: "h"}}
	return pv
}

func TestPersistentVolumeErrors(t *testing.T) {
	type volume = corev1.PersistentVolume
	runValidate(t, PersistentVolume, newVolume, []errorCase[*volume]{
		{name: "valid"},
		{"empty", func(v *volume) { v.Spec = corev1.PersistentVolumeSpec{} }, []string{
			"spec.accessModes: Required value", "spec.capacity: Required value",
			`spec.capacity: Unsupported value: null: supported values: "storage"`, "spec: Required value: must specify a volume type",
		}},
		{"capacity", func(v *volume) { v.Spec.Capacity = corev1.ResourceList{"cpu": resource.MustParse("-1")} }, []string{
			`spec.capacity: Unsupported value: {"cpu":"-1"}: supported values: "storage"`,
			"spec.capacity[cpu]: Invalid value: -1: must be a valid resource quantity",
			`spec.capacity[cpu]: Invalid value: "-1": must be greater than zero`,
		}},
		{"policy, mode and names", func(v *volume) {
			v.Spec.PersistentVolumeReclaimPolicy, v.Spec.VolumeMode, v.Spec.StorageClassName, v.Spec.VolumeAttributesClassName = "x", ptr(corev1.PersistentVolumeMode("y")), "A", ptr("")
		}, []string{
			`spec.persistentVolumeReclaimPolicy: Unsupported value: "x": supported values: "Delete", "Recycle", "Retain"`,
			`spec.storageClassName: Invalid value: "A": ` + subdomainRule,
			`spec.volumeMode: Unsupported value: "y": supported values: "Block", "Filesystem"`,
			"spec.volumeAttributesClassName: Required value: an empty string is disallowed",
			"spec.csi: Required value: has to be specified when using volumeAttributesClassName",
		}},
		{"recycling everything", func(v *volume) { v.Spec.HostPath.Path, v.Spec.PersistentVolumeReclaimPolicy = "//", "Recycle" },
			[]string{"spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"}},
		{"nodes", func(v *volume) { v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{} }, []string{"spec.nodeAffinity.required: Required value: must specify required node constraints"}},
		{"no term", func(v *volume) { v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{}} },
			[]string{"spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"}},
		{"several sources", func(v *volume) {
			v.Spec.Local, v.Spec.FlexVolume = &corev1.LocalVolumeSource{}, &corev1.FlexPersistentVolumeSource{}
			v.Spec.Glusterfs = &corev1.GlusterfsPersistentVolumeSource{}
		}, []string{
			"spec.glusterfs: Forbidden: may not specify more than 1 volume type", "spec.flexVolume.driver: Required value", "spec.local: Forbidden: may not specify more than 1 volume type",
		}},
		{"mount options", func(v *volume) { v.Annotations = map[string]string{corev1.MountOptionAnnotation: "ro"} },
			[]string{"metadata.annotations.volume.beta.kubernetes.io/mount-options: Forbidden: may not specify mount options for this volume type"}},
	})
}

func TestPersistentVolumeSources(t *testing.T) {
	type source = corev1.PersistentVolumeSource
	secret := &corev1.SecretReference{}
	for _, tt := range []struct {
		name string
		in   source
		want []string
	}{
		{"local", source{Local: &corev1.LocalVolumeSource{Path: "/a/../b"}}, []string{"spec.local.path: Invalid value: \"/a/../b\": must not contain '..'", "spec.nodeAffinity: Required value: Local volume requires node affinity"}},
		{"nfs", source{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "a"}}, []string{`spec.nfs.path: Invalid value: "a": must be an absolute path`}},
		{"csi", source{CSI: &corev1.CSIPersistentVolumeSource{Driver: strings.Repeat("a", 64), NodeStageSecretRef: secret, ControllerExpandSecretRef: secret}}, []string{
			"spec.csi.driver: Too long: may not be more than 63 bytes", "spec.csi.volumeHandle: Required value",
			"spec.csi.controllerExpandSecretRef.name: Required value", "spec.csi.controllerExpandSecretRef.namespace: Required value",
		}},
		{"iscsi", source{ISCSI: &corev1.ISCSIPersistentVolumeSource{TargetPortal: strings.Repeat("p", 62), IQN: "x", Lun: 256, SessionCHAPAuth: true, InitiatorName: ptr("eui.x")}}, []string{
			`spec.iscsi.targetportal: Invalid value: "` + strings.Repeat("p", 62) + `": Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.`,
			`spec.iscsi.iqn: Invalid value: "x": must be valid format`, "spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
			"spec.iscsi.secretRef: Required value", `spec.iscsi.initiatorname: Invalid value: "eui.x": must be valid format`,
		}},
		{"rbd", source{RBD: &corev1.RBDPersistentVolumeSource{}}, []string{"spec.rbd.monitors: Required value", "spec.rbd.image: Required value"}},
		{"cephfs", source{CephFS: &corev1.CephFSPersistentVolumeSource{}}, []string{"spec.cephfs.monitors: Required value"}},
		{"glusterfs", source{Glusterfs: &corev1.GlusterfsPersistentVolumeSource{EndpointsName: "e", Path: "p", EndpointsNamespace: ptr("")}},
			[]string{`spec.glusterfs.endpointsNamespace: Invalid value: "": if the endpointnamespace is set, it must be a valid namespace name`}},
		{"cinder", source{Cinder: &corev1.CinderPersistentVolumeSource{SecretRef: secret}}, []string{"spec.cinder.volumeID: Required value", "spec.cinder.secretRef.name: Required value", "spec.cinder.secretRef.namespace: Required value"}},
		{"azureFile", source{AzureFile: &corev1.AzureFilePersistentVolumeSource{SecretNamespace: ptr("")}}, []string{"spec.azureFile.secretName: Required value", "spec.azureFile.shareName: Required value", "spec.azureFile.secretNamespace: Required value"}},
		{"storageos", source{StorageOS: &corev1.StorageOSPersistentVolumeSource{VolumeName: "v", SecretRef: &corev1.ObjectReference{}}}, []string{"spec.storageos.secretRef.name: Required value", "spec.storageos.secretRef.namespace: Required value"}},
		{"scaleIO", source{ScaleIO: &corev1.ScaleIOPersistentVolumeSource{}}, []string{"spec.scaleIO.gateway: Required value", "spec.scaleIO.system: Required value", "spec.scaleIO.volumeName: Required value"}},
		{"gce", source{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{}}, []string{"spec.persistentDisk.pdName: Required value"}},
		{"azureDisk", source{AzureDisk: &corev1.AzureDiskVolumeSource{DiskName: "d", DataDiskURI: "x"}},
			[]string{`spec.azureDisk.diskURI: Unsupported value: "x": supported values: "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"`}},
	} {
		pv := newVolume()
		pv.Spec.PersistentVolumeSource = tt.in
		PersistentVolume.Default(pv)
		if diff := cmp.Diff(tt.want, texts(PersistentVolume.Validate(pv))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestPersistentVolumeUpdates(t *testing.T) {
	type volume = corev1.PersistentVolume
	zone := func(key string) *corev1.VolumeNodeAffinity {
		return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{"a b"}}, {Key: "x", Operator: corev1.NodeSelectorOpExists},
		}}}}}
	}
	zoned := func() *volume {
		v := csiVolume()
		v.Spec.NodeAffinity = zone(corev1.LabelFailureDomainBetaZone)
		return v
	}
	runValidateUpdate(t, PersistentVolume, zoned, []errorCase[*volume]{
		{"what was there may stay", func(v *volume) { v.Spec.PersistentVolumeReclaimPolicy = "Delete" }, nil},
		{"the label's stable name", func(v *volume) { v.Spec.NodeAffinity = zone(corev1.LabelTopologyZone) }, nil},
		{"another label", func(v *volume) { v.Spec.NodeAffinity = zone("z") },
			[]string{`nodeAffinity: Invalid value: {"Required":{"NodeSelectorTerms":[{"MatchExpressions":[{"Key":"z","Operator":"In","Values":["a b"]},{"Key":"x","Operator":"Exists","Values":null}],"MatchFields":null}]}}: field is immutable, except for updating from beta label to GA`}},
		{"no nodes", func(v *volume) { v.Spec.NodeAffinity = nil }, []string{"nodeAffinity: Invalid value: null: field is immutable, except for updating from beta label to GA"}},
		{"a secret for expansion", func(v *volume) {
			v.Spec.CSI.ControllerExpandSecretRef = &corev1.SecretReference{Name: "a", Namespace: "b"}
		}, nil},
	})
	attributed := func() *volume { v := csiVolume(); v.Spec.VolumeAttributesClassName = ptr("gold"); return v }
	runValidateUpdate(t, PersistentVolume, attributed, []errorCase[*volume]{
		{"attributes", func(v *volume) { v.Spec.VolumeAttributesClassName = ptr("iron") }, nil},
		{"no attributes", func(v *volume) { v.Spec.VolumeAttributesClassName = nil }, []string{"spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden"}},
		{"source and mode", func(v *volume) { v.Spec.CSI.VolumeHandle, v.Spec.VolumeMode = "i", ptr(corev1.PersistentVolumeBlock) }, []string{
			"spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n@@ -22,7 +22,7 @@\n  \"StorageOS\": null,\n  \"CSI\": {\n   \"Driver\": \"csi.example.com\",\n-  \"VolumeHandle\": \"h\",\n+  \"VolumeHandle\": \"i\",\n   \"ReadOnly\": false,\n   \"FSType\": \"\",\n   \"VolumeAttributes\": null,\n",
			`volumeMode: Invalid value: "Block": field is immutable`,
		}},
		{"errors come twice", func(v *volume) { v.Spec.AccessModes = nil }, []string{"spec.accessModes: Required value", "spec.accessModes: Required value"}},
	})
}

func TestInlineVolume(t *testing.T) {
	v := newVolume()
	v.Spec.ClaimRef, v.Spec.NodeAffinity = &corev1.ObjectReference{}, &corev1.VolumeNodeAffinity{}
	v.Spec.PersistentVolumeReclaimPolicy, v.Spec.StorageClassName, v.Spec.VolumeMode = "Delete", "a", ptr(corev1.PersistentVolumeBlock)
	want := []string{
		"p.claimRef: Forbidden: may not be specified in the context of inline volumes",
		"p.capacity: Forbidden: may not be specified in the context of inline volumes",
		"p.csi: Required value: has to be specified in the context of inline volumes",
		"p.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline volumes",
		"p.nodeAffinity: Forbidden: may not be specified in the context of inline volumes",
		"p.storageClassName: Forbidden: may not be specified in the context of inline volumes",
		"p.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of inline volumes",
	}
	if diff := cmp.Diff(want, texts(ValidateInlineVolume(&v.Spec, field.NewPath("p")))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPersistentVolume(t *testing.T) {
	v := newVolume()
	v.Spec.ISCSI, v.Spec.RBD, v.Spec.AzureDisk, v.Spec.ScaleIO = &corev1.ISCSIPersistentVolumeSource{}, &corev1.RBDPersistentVolumeSource{}, &corev1.AzureDiskVolumeSource{}, &corev1.ScaleIOPersistentVolumeSource{}
	PersistentVolume.Default(v)
	if *v.Spec.HostPath.Type != "" || v.Spec.ISCSI.ISCSIInterface != "default" || v.Spec.RBD.RBDPool != "rbd" || *v.Spec.AzureDisk.FSType != "ext4" || v.Spec.ScaleIO.FSType != "xfs" ||
		v.Spec.PersistentVolumeReclaimPolicy != "Retain" || *v.Spec.VolumeMode != "Filesystem" {
		t.Errorf("defaults: %+v", v.Spec)
	}
	v.Status.Reason = "r"
	if PersistentVolume.PrepareCreate(v); v.Status.Reason != "" || v.Status.Phase != "Pending" || v.Status.LastPhaseTransitionTime == nil {
		t.Errorf("after create: %+v", v.Status)
	}
	prepare, long := PersistentVolume.Subresource("status").Prepare, metav1.NewTime(time.Unix(1e9, 0))
	v.Status.LastPhaseTransitionTime = &long
	same, changed, told := v.DeepCopy(), v.DeepCopy(), v.DeepCopy()
	same.Status.LastPhaseTransitionTime, changed.Status.Phase = nil, corev1.VolumeBound
	mine := metav1.NewTime(time.Unix(2e9, 0))
	told.Status.Phase, told.Status.LastPhaseTransitionTime = corev1.VolumeBound, &mine
	prepare(same, v)
	prepare(changed, v)
	prepare(told, v)
	if !same.Status.LastPhaseTransitionTime.Equal(&long) || changed.Status.LastPhaseTransitionTime.Equal(&long) || !told.Status.LastPhaseTransitionTime.Equal(&mine) {
		t.Errorf("transitions %s, %s, %s", same.Status.LastPhaseTransitionTime, changed.Status.LastPhaseTransitionTime, told.Status.LastPhaseTransitionTime)
	}
}

func TestPersistentVolumeWarningsAndRow(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	v := newVolume()
	v.CreationTimestamp = now
	v.Annotations = map[string]string{corev1.BetaStorageClassAnnotation: "fast", corev1.MountOptionAnnotation: "ro"}
	v.Spec.PersistentVolumeReclaimPolicy, v.Spec.RBD, v.Spec.ClaimRef = "Recycle", &corev1.RBDPersistentVolumeSource{}, &corev1.ObjectReference{Namespace: "default", Name: "data"}
	v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "beta.kubernetes.io/arch"}}}}}}
	want := []string{
		`metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead`,
		`metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "mountOptions" attribute instead`,
		"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
		`spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead`,
		"spec.rbd: deprecated in v1.28, non-functional in v1.31+",
	}
	if diff := cmp.Diff(want, PersistentVolume.Warnings(v, v)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	v.Status.Phase = corev1.VolumeBound
	if diff := cmp.Diff([]any{"pv", "1Gi", "RWO", "Recycle", "Bound", "default/data", "fast", "<unset>", "", "0s", "<unset>"}, PersistentVolume.Row(v, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}
