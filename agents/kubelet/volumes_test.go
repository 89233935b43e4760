package kubelet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/volumes"
)

// podDirOf is where the kubelet keeps a pod's files.
func (r *testCluster) podDirOf(pod *corev1.Pod) string {
	return filepath.Join(r.dataDir, "pods", string(pod.UID))
}

// Somebody's directory, mounted below a volume of a pod, is unmounted at the pod's end and keeps its data.
func TestForeignMountSurvivesTheEndOfThePod(t *testing.T) {
	r := newTestCluster(t).start()
	foreign := t.TempDir()
	canary := filepath.Join(foreign, "canary")
	if err := os.WriteFile(canary, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
	}, "run")
	dir := r.podDirOf(r.untilRunning("web"))
	at := filepath.Join(dir, "volumes/kubernetes.io~empty-dir/scratch/foreign")
	if err := errors.Join(os.Mkdir(at, 0o755), unix.Mount(foreign, at, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) })
	r.delete("web", nil)
	r.until("web", "gone", isGone)
	r.untilNoContainers()
	if text, err := os.ReadFile(canary); err != nil || string(text) != "data" {
		t.Errorf("what was mounted has %q, %v", text, err)
	}
	if exists(dir) {
		t.Errorf("%s is left", dir)
	}
}

// While a volume cannot be unmounted its pod's directory stays, the pod stays, and an event says why.
func TestVolumeThatStaysMountedKeepsThePodsDirectory(t *testing.T) {
	var busy atomic.Bool
	busy.Store(true)
	r := newTestCluster(t)
	r.plugins = []volumes.Plugin{{
		Name: "example.com/memory", Is: func(vol *corev1.Volume) bool { return vol.CSI != nil },
		Mount: func(_ context.Context, q volumes.Request) (volumes.Mounted, error) {
			dir, err := q.MakeDir()
			if err == nil {
				err = unix.Mount("tmpfs", dir, "tmpfs", 0, "")
			}
			return volumes.Mounted{Path: dir}, err
		},
		Unmount: func(_ context.Context, dir string) error {
			if busy.Load() {
				return errors.New("it is busy")
			}
			return unix.Unmount(dir, unix.UMOUNT_NOFOLLOW)
		},
	}}
	r.start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "pv", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "example.com"}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "pv", MountPath: "/pv"}}
	}, "run")
	dir := r.podDirOf(r.untilRunning("web"))
	canary := filepath.Join(dir, "volumes/example.com~memory/pv/canary")
	if err := os.WriteFile(canary, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.delete("web", nil)
	e := r.untilEvent("web", "FailedUnMount")
	if want := `volumes are left: UnmountVolume.TearDown failed for volume "pv" : it is busy`; e.Message != want {
		t.Errorf("event %q, want %q", e.Message, want)
	}
	if !exists(canary) {
		t.Error("the data of a volume that is mounted was removed")
	}
	busy.Store(false)
	r.until("web", "gone", isGone)
	r.untilNoContainers()
	if exists(dir) {
		t.Errorf("%s is left", dir)
	}
}
