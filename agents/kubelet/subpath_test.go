package kubelet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/volumes"
)

// A container that exchanges a directory with a link out of the volume gains nothing: not before the engine resolves a path, not
// after (CVE-2021-25741).
func TestEngineMountsWhatTheKubeletOpened(t *testing.T) {
	const starts = 8
	r := newTestCluster(t)
	k := newKubelet(Config{
		Gateway: gateway{r.api}, NodeName: r.node, Network: testNetwork, DataDir: r.dataDir, LogDir: noLinks, Log: testLog(r),
	}, r.engine())
	volume, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Mkdir(volume+"/dir", 0o755), os.WriteFile(volume+"/dir/mine", nil, 0o644),
		os.WriteFile(outside+"/canary", nil, 0o644), os.Symlink(outside, volume+"/link")); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, volume+"/dir", unix.AT_FDCWD, volume+"/link", unix.RENAME_EXCHANGE)
			}
		}
	})
	defer wg.Wait()
	defer close(end)
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name, pod.UID = "default", "race", "race"
	var ids []string
	for i := 0; len(ids) < starts; i++ {
		place, err := k.volumes.MountSubPath(t.Context(), pod, volumes.SubPath{Volume: "v", Root: volume, Container: "c", Index: i, Path: "dir"})
		if err != nil {
			continue // it was a link
		}
		made, err := r.docker.ContainerCreate(t.Context(),
			&container.Config{Image: testImage, Cmd: []string{"stat", "/part/mine"}, Labels: map[string]string{engine.LabelNode: r.node}},
			&container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{{Type: mount.TypeBind, Source: place, Target: "/part", ReadOnly: true}}},
			nil, nil, fmt.Sprintf("%s-%d", r.node, i))
		if err == nil {
			err = k.engine.Start(t.Context(), made.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, made.ID)
	}
	for _, id := range ids {
		if code := r.untilExit(id); code != 0 {
			t.Errorf("a container sees another directory: its code is %d", code)
		}
	}
}

// untilExit waits for a container's end and returns its code.
func (r *testCluster) untilExit(id string) int64 {
	r.Helper()
	codes, errs := r.docker.ContainerWait(r.Context(), id, container.WaitConditionNotRunning)
	select {
	case end := <-codes:
		return end.StatusCode
	case err := <-errs:
		r.Fatal(err)
	}
	return -1
}

// A part of a volume is the same for all containers, across their restarts and the kubelet's; it goes with the pod.
func TestSubPathOfAPod(t *testing.T) {
	r := newTestCluster(t).start()
	pod := r.run("parts", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: testImage, Args: []string{"touch", "/part/file"},
			VolumeMounts: []corev1.VolumeMount{{Name: "disk", MountPath: "/part", SubPath: "a/b"}}}}
		main := &p.Spec.Containers[0]
		main.Env = []corev1.EnvVar{{Name: "B", Value: "b"}}
		main.VolumeMounts = []corev1.VolumeMount{
			{Name: "disk", MountPath: "/all"},
			{Name: "disk", MountPath: "/part", SubPathExpr: "a/$(B)"},
			{Name: "disk", MountPath: "/one", SubPath: "a/b/file", ReadOnly: true},
		}
		p.Spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: command("stat", "/part/well"), PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5}
		p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: command("stat", "/part/file").Exec}}
	}, "run")
	r.until("parts", "restarted", func(p *corev1.Pod) bool { c := statuses(p); return len(c) == 1 && c[0].RestartCount > 0 })
	r.stop()
	places, _ := filepath.Glob(filepath.Join(r.dataDir, "pods", string(pod.UID), "volume-subpaths/disk/*/*"))
	if len(places) != 3 {
		t.Fatalf("places: %q", places)
	}
	if info, err := os.Lstat(filepath.Join(filepath.Dir(places[1]), "2")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the place of a file: %v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(r.dataDir, "pods", string(pod.UID), "volumes/kubernetes.io~empty-dir/disk/a/b/well"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.untilRunning("parts")
	r.delete("parts", nil)
	r.until("parts", "gone", isGone)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), r.dataDir) {
		t.Errorf("still mounted: %v\n%s", err, mounts)
	}
	if left, _ := os.ReadDir(filepath.Join(r.dataDir, "pods")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// A subPath that a link leads out of the volume is refused, and the pod's author learns nothing of the host.
func TestSubPathOutOfTheVolumeIsRefused(t *testing.T) {
	r := newTestCluster(t).start()
	dir := t.TempDir()
	if err := os.Symlink("/", dir+"/out"); err != nil {
		t.Fatal(err)
	}
	r.run("escape", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/host", SubPath: "out/etc"}}
	}, "run")
	r.until("escape", "refused", func(p *corev1.Pod) bool {
		c := statuses(p)
		return len(c) == 1 && c[0].State.Waiting != nil && c[0].State.Waiting.Reason == "CreateContainerConfigError" &&
			c[0].State.Waiting.Message == `failed to prepare subPath for volumeMount "v" of container "main"`
	})
}
