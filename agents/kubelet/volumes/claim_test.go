package volumes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/volumes"
)

// newClaimBench is a bench with a pod whose volume "v" is the claim "data", bound to the local volume "pv" in a directory that is there.
func newClaimBench(t *testing.T) (b *bench, pvc *corev1.PersistentVolumeClaim, pv *corev1.PersistentVolume) {
	b = newBench(t, corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}})
	b.pod.Spec.Containers = []corev1.Container{{Name: "c", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}}}
	pvc = &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{UID: "claim-uid"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
	pv = &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		ClaimRef:               &corev1.ObjectReference{Namespace: "default", Name: "data", UID: "claim-uid"},
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: t.TempDir()}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}}}}}},
	}}
	b.objects["persistentvolumeclaims/data"], b.objects["persistentvolumes/pv"] = pvc, pv
	return b, pvc, pv
}

func TestClaimIsMountedWhereItsVolumeIs(t *testing.T) {
	b, _, pv := newClaimBench(t)
	if got := b.mount("v"); got != pv.Spec.Local.Path {
		t.Errorf("the volume is at %s, want %s", got, pv.Spec.Local.Path)
	}
	if m, err := b.Metrics("u1"); err != nil || m["v"].Capacity <= 0 || m["v"].Used+m["v"].Available > m["v"].Capacity {
		t.Errorf("metrics %+v, %v", m, err)
	}
	b.remove()
	if _, err := os.Stat(pv.Spec.Local.Path); err != nil {
		t.Errorf("the volume went with its pod: %v", err)
	}
}

// TestClaimErrors are in the words of Kubernetes' kubelet.
func TestClaimErrors(t *testing.T) {
	const processing = "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: "
	const inClaim = processing + "error processing PVC default/data: "
	type claim = corev1.PersistentVolumeClaim
	type volume = corev1.PersistentVolume
	block := corev1.PersistentVolumeBlock
	now := metav1.Now()
	cases := []struct {
		name   string
		change func(b *bench, pvc *claim, pv *volume)
		want   string
	}{
		{"no claim", func(b *bench, _ *claim, _ *volume) { delete(b.objects, "persistentvolumeclaims/data") }, inClaim + "failed to fetch PVC from API server: "},
		{"no volume", func(b *bench, _ *claim, _ *volume) { delete(b.objects, "persistentvolumes/pv") }, inClaim + "failed to fetch PV pv from API server: "},
		{"deleted claim", func(_ *bench, c *claim, _ *volume) { c.DeletionTimestamp = &now }, inClaim + "PVC is being deleted"},
		{"pending claim", func(_ *bench, c *claim, _ *volume) { c.Status.Phase = corev1.ClaimPending }, inClaim + "PVC is not bound"},
		{"claim without volume", func(_ *bench, c *claim, _ *volume) { c.Spec.VolumeName = "" }, inClaim + "PVC has empty pvc.Spec.VolumeName"},
		{"volume without claim", func(_ *bench, _ *claim, pv *volume) { pv.Spec.ClaimRef = nil }, inClaim + "found PV object pv but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"},
		{"volume of another claim", func(_ *bench, _ *claim, pv *volume) { pv.Spec.ClaimRef.UID = "other" },
			inClaim + "found PV object pv but its pv.Spec.ClaimRef.UID other does not point to claim.UID claim-uid"},
		{"released local volume", func(_ *bench, _ *claim, pv *volume) {
			pv.DeletionTimestamp, pv.Annotations = &now, map[string]string{volumes.ProvisionedBy: volumes.LocalProvisioner, volumes.LocalNode: "n1"}
		}, inClaim + "PV pv is being deleted"},
		{"block mounted", func(_ *bench, _ *claim, pv *volume) { pv.Spec.VolumeMode = &block }, processing + "volume v has volumeMode Block, but is specified in volumeMounts"},
		{"file system as a device", func(b *bench, _ *claim, _ *volume) {
			b.pod.Spec.Containers = []corev1.Container{{VolumeDevices: []corev1.VolumeDevice{{Name: "v"}}}}
		}, processing + "volume v has volumeMode Filesystem, but is specified in volumeDevices"},
		{"a directory as a block device", func(b *bench, _ *claim, pv *volume) {
			b.pod.Spec.Containers = []corev1.Container{{VolumeDevices: []corev1.VolumeDevice{{Name: "v"}}}}
			pv.Spec.VolumeMode, pv.Spec.Local.Path = &block, "/tmp"
		}, `MapVolume.NewBlockVolumeMapper initialization failed for volume "pv" : path "/tmp" is not a block device`},
		{"a block device of another type", func(b *bench, _ *claim, pv *volume) {
			b.pod.Spec.Containers = []corev1.Container{{VolumeDevices: []corev1.VolumeDevice{{Name: "v"}}}}
			pv.Spec.VolumeMode = &block
			pv.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/dev"}}
		}, `MapVolume.NewBlockVolumeMapper initialization failed for volume "pv" : no volume plugin matched`},
		{"another's ephemeral claim", func(b *bench, c *claim, _ *volume) {
			b.pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}
			b.objects["persistentvolumeclaims/web-v"] = c
		}, processing + "PVC default/web-v was not created for pod default/web (pod is not owner)"},
		{"another node's volume", func(b *bench, _ *claim, _ *volume) { b.node.Labels[corev1.LabelHostname] = "n2" },
			`MountVolume.NodeAffinity check failed for volume "pv" : no matching NodeSelectorTerms`},
		{"node not known", func(b *bench, _ *claim, _ *volume) { b.node = nil }, `MountVolume.NodeAffinity check failed for volume "pv" : the node's labels are not known yet`},
		{"another type", func(_ *bench, _ *claim, pv *volume) {
			pv.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}}
		}, `MountVolume.NewMounter initialization failed for volume "pv" : no volume plugin matched`},
		{"a driver's", func(_ *bench, _ *claim, pv *volume) {
			pv.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com", VolumeHandle: "d1"}}
		}, `MountVolume.MountDevice failed for volume "pv" : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name disk.example.com not found`},
		{"mount options", func(_ *bench, _ *claim, pv *volume) { pv.Spec.MountOptions = []string{"noatime"} },
			`MountVolume.MountOptionSupport check failed for volume "pv" : mount options are not supported for this volume type`},
		{"a path that leaves", func(_ *bench, _ *claim, pv *volume) { pv.Spec.Local.Path = "/tmp/../etc" },
			`MountVolume.SetUp failed for volume "pv" : invalid path: "/tmp/../etc" must be absolute and must not contain '..'`},
		{"no directory", func(_ *bench, _ *claim, pv *volume) { pv.Spec.Local.Path = "/none" },
			`MountVolume.NewMounter initialization failed for volume "pv" : path "/none" does not exist`},
		{"a file", func(_ *bench, _ *claim, pv *volume) { pv.Spec.Local.Path = "/etc/passwd" },
			`MountVolume.NewMounter initialization failed for volume "pv" : path "/etc/passwd" is not a directory: only directories are supported`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			b, pvc, pv := newClaimBench(t)
			tc.change(b, pvc, pv)
			if _, err := b.Mount(t.Context(), b.pod); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error\n%v\nwant\n%s", err, tc.want)
			}
		})
	}
}

// TestMountedClaimNeedsNoGateway: a kubelet that restarts goes on with the volumes that its pods have, whatever became of the claim.
func TestMountedClaimNeedsNoGateway(t *testing.T) {
	b, _, pv := newClaimBench(t)
	b.pod.Spec.Volumes[0].PersistentVolumeClaim.ReadOnly = true
	b.mount("v")
	restarted := New(b.cfg)
	b.api.asked = func(context.Context) { t.Error("the gateway was asked") }
	m, err := restarted.Mount(t.Context(), b.pod)
	if want := (Mounted{Path: pv.Spec.Local.Path, ReadOnly: true}); err != nil || m["v"] != want {
		t.Errorf("mounted %+v, %v; want %+v", m["v"], err, want)
	}
	if err := os.Remove(pv.Spec.Local.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := restarted.Mount(t.Context(), b.pod); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a volume that is lost is %v", err)
	}
}

// TestClaimOfABlockDevice: the device is given as it is, also by a kubelet that restarted, and its file system is not measured.
func TestClaimOfABlockDevice(t *testing.T) {
	b, _, pv := newClaimBench(t)
	device := filepath.Join(t.TempDir(), "disk")
	if err := unix.Mknod(device, unix.S_IFBLK|0o600, int(unix.Mkdev(7, 200))); err != nil {
		t.Fatal(err)
	}
	block := corev1.PersistentVolumeBlock
	pv.Spec.VolumeMode, pv.Spec.Local.Path = &block, device
	b.pod.Spec.Containers = []corev1.Container{{Name: "c", VolumeDevices: []corev1.VolumeDevice{{Name: "v", DevicePath: "/dev/xvda"}}}}
	b.pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr(int64(4242))}
	for _, v := range []*Volumes{b.Volumes, New(b.cfg)} {
		m, err := v.Mount(t.Context(), b.pod)
		if want := (Mounted{Path: device, Device: true}); err != nil || m["v"] != want {
			t.Errorf("mounted %+v, %v; want %+v", m["v"], err, want)
		}
	}
	if m, err := b.Metrics("u1"); err != nil || len(m) != 0 {
		t.Errorf("metrics %+v, %v", m, err)
	}
	var info unix.Stat_t
	if err := unix.Stat(device, &info); err != nil || info.Gid != 0 {
		t.Errorf("the device's group is %d, %v", info.Gid, err)
	}
}

func TestClaimOfAHostPath(t *testing.T) {
	b, _, pv := newClaimBench(t)
	dir, kind := filepath.Join(t.TempDir(), "made"), corev1.HostPathDirectoryOrCreate
	pv.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: &kind}}
	b.pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr(int64(4242))}
	if got := b.mount("v"); got != dir {
		t.Errorf("the volume is at %s, want %s", got, dir)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the path of the host is %v, %v: it should be as it was made", info, err)
	}
}

func TestEphemeralVolumeIsMounted(t *testing.T) {
	b, pvc, pv := newClaimBench(t)
	b.pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}
	pvc.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "web", UID: b.pod.UID, Controller: ptr(true)}}
	b.objects["persistentvolumeclaims/web-v"] = pvc
	if got := b.mount("v"); got != pv.Spec.Local.Path {
		t.Errorf("the volume is at %s, want %s", got, pv.Spec.Local.Path)
	}
}

// TestGantrysLocalVolumeIsMade: only the directory of a volume that Gantry provisioned is made.
func TestGantrysLocalVolumeIsMade(t *testing.T) {
	b, _, pv := newClaimBench(t)
	pv.Spec.Local.Path = filepath.Join(pv.Spec.Local.Path, "pv")
	pv.Annotations = map[string]string{volumes.ProvisionedBy: volumes.LocalProvisioner, volumes.LocalNode: "n1"}
	b.mount("v")
	b.mount("v")
	if strings.Join(b.made, " ") != "pv" {
		t.Errorf("made %v, want it once", b.made)
	}
}

// TestReadWriteOncePod: a volume that only one pod may have is another's when that is gone from the node.
func TestReadWriteOncePod(t *testing.T) {
	b, _, pv := newClaimBench(t)
	pv.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	b.mount("v")
	b.mount("v")
	second := b.pod.DeepCopy()
	second.Name, second.UID = "second", "u2"
	_, err := b.Mount(t.Context(), second)
	if want := `MountVolume.SetUp failed for volume "pv" : volume uses the ReadWriteOncePod access mode and is already in use by another pod`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if users, err := b.UsersOf("pv"); err != nil || strings.Join(users, " ") != "u1" {
		t.Errorf("users %v, %v", users, err)
	}
	b.remove()
	if _, err := b.Mount(t.Context(), second); err != nil {
		t.Errorf("after the first pod's end: %v", err)
	}
	if err := errors.Join(b.Unmount(t.Context(), "u2"), b.Remove(t.Context(), "u2")); err != nil {
		t.Error(err)
	}
}
