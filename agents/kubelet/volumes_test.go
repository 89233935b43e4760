package kubelet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/volumes"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/core"
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

// withoutAnswers is a gateway that takes what is written and says nothing of what volumes are made of.
type withoutAnswers struct{ Gateway }

func (g withoutAnswers) Get(ctx context.Context, k *schema.Kind, namespace, name, resourceVersion string) (*registry.Item, error) {
	switch k {
	case core.PersistentVolumeClaim, core.PersistentVolume, core.ConfigMap, core.Secret:
		return nil, &registry.Error{Kind: registry.Unavailable, Resource: k.Plural, Name: name}
	}
	return g.Gateway.Get(ctx, k, namespace, name, resourceVersion)
}

func (withoutAnswers) Token(context.Context, string, string, *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	return nil, &registry.Error{Kind: registry.Unavailable, Resource: "serviceaccounts"}
}

// A claim that is not bound keeps its pod waiting, with an event. A restarted kubelet starts a container with the claim's volume again while
// nobody answers about it, nor about the pod's token.
func TestClaimIsMountedWhenItIsBound(t *testing.T) {
	r := newTestCluster(t).start()
	dir := t.TempDir()
	_, err := registry.For[*corev1.PersistentVolume](r.api).Create(t.Context(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: quantity("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := registry.For[*corev1.PersistentVolumeClaim](r.api).Create(t.Context(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv", AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: quantity("1Gi")}}}})
	if err != nil {
		t.Fatal(err)
	}
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/data"}}
	}, "run")
	want := "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: error processing PVC default/data: PVC is not bound"
	if e := r.untilEvent("web", "FailedMount"); e.Message != want {
		t.Errorf("event %q, want %q", e.Message, want)
	}
	registrytest.Modify(t, r.api, "", "pv", "", func(pv *corev1.PersistentVolume) {
		pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "default", Name: "data", UID: claim.UID}
	})
	registrytest.Modify(t, r.api, "default", "data", "status", func(pvc *corev1.PersistentVolumeClaim) { pvc.Status.Phase = corev1.ClaimBound })
	first := r.untilRunning("web").Status.ContainerStatuses[0].ContainerID

	r.stop()
	r.change = func(cfg *Config) { cfg.Gateway = withoutAnswers{cfg.Gateway} }
	r.start()
	if err := r.docker.ContainerKill(t.Context(), strings.TrimPrefix(first, "docker://"), "KILL"); err != nil {
		t.Fatal(err)
	}
	pod := r.until("web", "restarted", func(p *corev1.Pod) bool { return isReady(p) && p.Status.ContainerStatuses[0].RestartCount == 1 })
	info, err := r.docker.ContainerInspect(t.Context(), strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "docker://"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(info.Mounts, func(m container.MountPoint) bool { return m.Destination == "/data" && m.Source == dir && m.RW }) {
		t.Errorf("mounts %+v, want %s at /data", info.Mounts, dir)
	}
}
