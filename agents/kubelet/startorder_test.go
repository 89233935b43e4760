package kubelet

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate/podstatetest"
)

func TestStartOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := make(chan struct{}), make(chan struct{}), make(chan struct{})
		w := &worker{pod: podstatetest.PodOf(corev1.RestartPolicyAlways, "a", "b", "c", "d"), jobs: map[string]*job{
			"a": {do: doStart, done: a}, "b": {do: doStop, done: b}, "d": {do: doStart, done: c, hooked: true},
		}}
		plain := w.startOrderOf("c") // b is being stopped, d comes later
		w.jobs["a"].hooked = true
		hooked := w.startOrderOf("c")
		for _, first := range []startOrder{plain, w.startOrderOf("a")} {
			if err := first.untilCreate(t.Context()); err != nil {
				t.Error(err)
			}
		}
		var through atomic.Int32
		for _, wait := range []func(context.Context) error{plain.untilStart, hooked.untilCreate} {
			go func() {
				if err := wait(t.Context()); err != nil {
					t.Error(err)
				}
				through.Add(1)
			}()
			synctest.Wait()
		}
		if n := through.Load(); n > 0 {
			t.Errorf("%d go on before the start of a is over", n)
		}
		close(a)
		synctest.Wait()
		if n := through.Load(); n != 2 {
			t.Errorf("%d of 2 go on after it", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := (startOrder{earlier: []<-chan struct{}{b}}).untilStart(ctx); err == nil {
			t.Error("a start that is not wanted any more goes on")
		}
	})
}

// A container starts after the postStart handler of the one before it: it finds what that left.
func TestContainersStartAfterTheHookBefore(t *testing.T) {
	r := newTestCluster(t).start()
	shared := []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	r.run("web", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Volumes = []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p.Spec.Containers = []corev1.Container{
			{Name: "first", Image: testImage, Args: []string{"run"}, VolumeMounts: shared, Lifecycle: &corev1.Lifecycle{
				PostStart: &corev1.LifecycleHandler{Exec: command("later", "/shared/hooked").Exec}}},
			{Name: "second", Image: testImage, Args: []string{"stat", "/shared/hooked"}, VolumeMounts: shared},
		}
	})
	pod := r.until("web", "past its second container", func(p *corev1.Pod) bool {
		c := statuses(p)
		return len(c) == 2 && c[1].State.Terminated != nil
	})
	if c := pod.Status.ContainerStatuses[1].State.Terminated; c.ExitCode != 0 {
		t.Errorf("the second container ran before the first one's handler was done: %+v", c)
	}
}

// The same of a sidecar and what follows it.
func TestInitContainersStartAfterTheHookOfASidecar(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	r := newTestCluster(t).start()
	shared := []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	r.run("web", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Volumes = []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p.Spec.InitContainers = []corev1.Container{
			{Name: "side", Image: testImage, Args: []string{"run"}, RestartPolicy: &always, VolumeMounts: shared, Lifecycle: &corev1.Lifecycle{
				PostStart: &corev1.LifecycleHandler{Exec: command("later", "/shared/hooked").Exec}}},
			{Name: "init", Image: testImage, Args: []string{"stat", "/shared/hooked"}, VolumeMounts: shared},
		}
	}, "run")
	pod := r.until("web", "past its init container", func(p *corev1.Pod) bool {
		return p != nil && len(p.Status.InitContainerStatuses) == 2 && p.Status.InitContainerStatuses[1].State.Terminated != nil
	})
	if c := pod.Status.InitContainerStatuses[1].State.Terminated; c.ExitCode != 0 {
		t.Errorf("the init container ran before the sidecar's handler was done: %+v", c)
	}
}

// Containers start in the order of the spec. One that cannot start, or has no image, lets the next ones go on.
func TestContainersStartInOrder(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Containers = nil
		for i := range 6 {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: testImage, Args: []string{"run"}})
		}
		p.Spec.Containers[1].Command = []string{"/none"}
		p.Spec.Containers[3].Image, p.Spec.Containers[3].ImagePullPolicy = "gantry-none:1", corev1.PullNever
	})
	up := []int{0, 2, 4, 5}
	pod := r.until("web", "running but for two", func(p *corev1.Pod) bool {
		c := statuses(p)
		for _, i := range up {
			if len(c) != 6 || c[i].State.Running == nil {
				return false
			}
		}
		return true
	})
	var last time.Time
	for _, i := range up {
		c, err := r.engine().Container(t.Context(), strings.TrimPrefix(pod.Status.ContainerStatuses[i].ContainerID, "docker://"))
		if err != nil {
			t.Fatal(err)
		}
		at := c.Started
		if !at.After(last) {
			t.Errorf("container %d started at %s, the one before it at %s", i, at, last)
		}
		last = at
	}
}
