package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/pause"
	"gantry/registry"
)

// interceptedAPI is Docker's API with creates and starts that tests inspect, change and fail.
type interceptedAPI struct {
	engine.API
	create func(name string, c *container.Config, h *container.HostConfig) error
	start  func(ctx context.Context, name string) error

	mu    sync.Mutex
	names map[string]string // by ID
}

func (e *interceptedAPI) ContainerCreate(ctx context.Context, c *container.Config, h *container.HostConfig, n *network.NetworkingConfig, p *ocispec.Platform, name string) (container.CreateResponse, error) {
	if e.create != nil {
		if err := e.create(name, c, h); err != nil {
			return container.CreateResponse{}, err
		}
	}
	r, err := e.API.ContainerCreate(ctx, c, h, n, p, name)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.names == nil {
		e.names = map[string]string{}
	}
	e.names[r.ID] = name
	return r, err
}

func (e *interceptedAPI) ContainerStart(ctx context.Context, id string, o container.StartOptions) error {
	e.mu.Lock()
	name := e.names[id]
	e.mu.Unlock()
	if e.start != nil {
		if err := e.start(ctx, name); err != nil {
			return err
		}
	}
	return e.API.ContainerStart(ctx, id, o)
}

func isSandboxName(name string) bool { return strings.HasPrefix(name, "k8s_POD_") }

// inspect reads the node's containers by the name of their container; a pod's sandbox is POD.
func (r *testCluster) inspect() map[string]container.InspectResponse {
	r.Helper()
	all := map[string]container.InspectResponse{}
	for _, c := range r.containers() {
		in, err := r.docker.ContainerInspect(r.Context(), c.ID)
		if err != nil {
			r.Fatal(err)
		}
		all[c.Labels[engine.LabelContainerName]] = in
	}
	return all
}

// namespace is what the kernel calls a container's namespace of that kind.
func (r *testCluster) namespace(in container.InspectResponse, kind string) string {
	r.Helper()
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", in.State.Pid, kind))
	if err != nil {
		r.Fatal(err)
	}
	return name
}

func second(args ...string) corev1.Container {
	return corev1.Container{Name: "second", Image: testImage, Args: args}
}

func TestContainersShareTheSandboxsNamespaces(t *testing.T) {
	for name, share := range map[string]bool{"own-processes": false, "shared-processes": true} {
		t.Run(name, func(t *testing.T) {
			r := newTestCluster(t).start()
			r.run("web", func(p *corev1.Pod) {
				p.Spec.ShareProcessNamespace = &share
				p.Spec.Containers = append(p.Spec.Containers, second("run"))
			}, "run")
			r.untilRunning("web")
			all := r.inspect()
			sandbox := all[engine.SandboxName]
			if !sandbox.Config.NetworkDisabled || len(sandbox.NetworkSettings.Networks) > 0 && sandbox.NetworkSettings.SandboxKey != "" {
				t.Errorf("the engine made a network for the sandbox: %+v", sandbox.NetworkSettings)
			}
			host := fmt.Sprintf("/proc/%d/ns/net", os.Getpid())
			if own, _ := os.Readlink(host); own == r.namespace(sandbox, "net") {
				t.Error("the sandbox lives in this process's network")
			}
			for _, name := range []string{"main", "second"} {
				for kind, want := range map[string]bool{"net": true, "ipc": true, "pid": share} {
					if got := r.namespace(all[name], kind) == r.namespace(sandbox, kind); got != want {
						t.Errorf("container %s shares the sandbox's %s namespace: %t, want %t", name, kind, got, want)
					}
				}
			}
		})
	}
}

// The pause program needs no right, and has none; its signals reach it all the same.
func TestSandboxIsConfined(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", nil, "run")
	r.untilRunning("web")
	sandbox := r.inspect()[engine.SandboxName]
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", sandbox.State.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the pause process lacks %q:\n%s", want, text)
		}
	}
	if want := "seccomp=" + pause.SeccompProfile(); sandbox.HostConfig.SecurityOpt[1] != want {
		t.Errorf("the engine cannot have the pause container's profile: %v", sandbox.HostConfig.SecurityOpt)
	}
	r.stop()
	if err := r.docker.ContainerStop(t.Context(), sandbox.ID, container.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if s := r.inspect()[engine.SandboxName].State; s.ExitCode != 0 {
		t.Errorf("the pause program was stopped with %d, want 0", s.ExitCode)
	}
}

// podFiles are what testdata/pod prints of a container's own view of its name and network.
var podFiles = []string{"cat", "/proc/sys/kernel/hostname", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}

// wants tells which lines a text lacks.
func (r *testCluster) wants(what, text string, lines ...string) {
	r.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line) {
			r.Errorf("%s: %q is missing in:\n%s", what, line, text)
		}
	}
}

// Every container of a pod sees the pod's name and files: the first, made beside its sandbox, those after it, and one that is
// started again.
func TestFilesAndHostnameOfEveryContainer(t *testing.T) {
	r := newTestCluster(t).start()
	yes, value := true, "3"
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Hostname, p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = "named", "sub", &yes
		p.Spec.DNSPolicy = corev1.DNSNone
		p.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.53"}, Searches: []string{"example.com"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: &value}}}
		p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: testImage, Args: []string{"exit", "0"}}}
		p.Spec.Containers = append(p.Spec.Containers, second(podFiles...))
	}, podFiles...)
	check := func(pod *corev1.Pod, i int) {
		t.Helper()
		c := pod.Status.ContainerStatuses[i]
		r.wants(c.Name, r.untilLog(c.ContainerID, "\nup\n"),
			"== /proc/sys/kernel/hostname <nil>\nnamed.sub.default.svc.cluster.local\n", "== /etc/hostname <nil>\nnamed\n",
			pod.Status.PodIP+"\tnamed.sub.default.svc.cluster.local\tnamed\n", "127.0.0.1\tlocalhost\n",
			"search example.com\nnameserver 192.0.2.53\noptions ndots:3\n")
	}
	pod := r.untilRunning("web")
	check(pod, 0)
	check(pod, 1)
	if err := r.docker.ContainerKill(t.Context(), strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "docker://"), "KILL"); err != nil {
		t.Fatal(err)
	}
	check(r.until("web", "restarted", func(p *corev1.Pod) bool { return isReady(p) && statuses(p)[0].RestartCount == 1 }), 0)
}

func TestFilesOfAPodInTheNodesNetwork(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("host", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, podFiles...)
	pod := r.untilRunning("host")
	node, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	r.wants("main", r.untilLog(pod.Status.ContainerStatuses[0].ContainerID, "\nup\n"),
		"== /proc/sys/kernel/hostname <nil>\n"+node+"\n", "== /etc/hostname <nil>\n"+node+"\n", "localhost")
	sandbox := r.inspect()[engine.SandboxName]
	if sandbox.Config.NetworkDisabled || !sandbox.HostConfig.NetworkMode.IsHost() {
		t.Errorf("network of the sandbox: disabled %t, mode %s", sandbox.Config.NetworkDisabled, sandbox.HostConfig.NetworkMode)
	}
}

// A container that mounts something at one of the files' places sees its own.
func TestFilesGiveWayToVolumes(t *testing.T) {
	r := newTestCluster(t)
	if _, err := registry.For[*corev1.ConfigMap](r.api).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own"}, Data: map[string]string{"hosts": "192.0.2.9 own\n"},
	}); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "own", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "own"}}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: "/etc/hosts", SubPath: "hosts"}}
	}, podFiles...)
	pod := r.untilRunning("web")
	text := r.untilLog(pod.Status.ContainerStatuses[0].ContainerID, "\nup\n")
	r.wants("main", text, "== /etc/hosts <nil>\n192.0.2.9 own\n", "== /etc/hostname <nil>\nweb\n", "nameserver")
	if strings.Contains(text, pod.Status.PodIP+"\tweb") {
		t.Errorf("the pod's hosts file is over the container's own:\n%s", text)
	}
}

// Sandboxes that an older kubelet made, with a network "none" of the engine's and its default confinement, are adopted; a container
// started again in one joins it as ever.
func TestSandboxOfAnOlderKubeletIsAdopted(t *testing.T) {
	r := newTestCluster(t)
	r.engineAPI = &interceptedAPI{API: r.docker, create: func(name string, c *container.Config, h *container.HostConfig) error {
		if isSandboxName(name) {
			c.NetworkDisabled, h.CapDrop, h.SecurityOpt = false, nil, nil
		}
		return nil
	}}
	r.start()
	r.run("web", nil, podFiles...)
	before := r.untilRunning("web")
	r.stop()
	r.engineAPI = r.docker
	r.start()
	r.run("after", nil, "run") // once it runs every pod has been inspected
	other := r.untilRunning("after")
	after := r.untilRunning("web")
	a, b := before.Status.ContainerStatuses[0], after.Status.ContainerStatuses[0]
	if a.ContainerID != b.ContainerID || b.RestartCount != 0 || before.Status.PodIP != after.Status.PodIP || other.Status.PodIP == after.Status.PodIP {
		t.Errorf("before %s %s, after %s %s, restarts %d; another has %s", a.ContainerID, before.Status.PodIP, b.ContainerID, after.Status.PodIP, b.RestartCount, other.Status.PodIP)
	}
	if err := r.docker.ContainerKill(t.Context(), strings.TrimPrefix(b.ContainerID, "docker://"), "KILL"); err != nil {
		t.Fatal(err)
	}
	again := r.until("web", "restarted", func(p *corev1.Pod) bool { return isReady(p) && statuses(p)[0].RestartCount == 1 })
	if again.Status.PodIP != before.Status.PodIP {
		t.Errorf("address %s, want %s", again.Status.PodIP, before.Status.PodIP)
	}
	r.wants("main", r.untilLog(again.Status.ContainerStatuses[0].ContainerID, "\nup\n"),
		"== /proc/sys/kernel/hostname <nil>\nweb\n", "== /etc/hostname <nil>\nweb\n", before.Status.PodIP+"\tweb\n", "nameserver")
}

// The first container is made while its sandbox starts: here that start ends no sooner.
func TestFirstContainerIsMadeBesideItsSandbox(t *testing.T) {
	r := newTestCluster(t)
	made := make(chan struct{})
	var once sync.Once
	var calls atomic.Int32
	count := func(name string) {
		if strings.HasPrefix(name, "k8s_") { // else the engine is tried
			calls.Add(1)
		}
	}
	r.engineAPI = &interceptedAPI{API: r.docker,
		create: func(name string, _ *container.Config, _ *container.HostConfig) error {
			count(name)
			if strings.HasPrefix(name, "k8s_main_") {
				once.Do(func() { close(made) })
			}
			return nil
		},
		start: func(ctx context.Context, name string) error {
			count(name)
			if !isSandboxName(name) {
				return nil
			}
			select {
			case <-made:
				return nil
			case <-time.After(patience):
				return errors.New("the container was not made meanwhile")
			}
		},
	}
	r.start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}}}
	}, "cat")
	pod := r.untilRunning("web")
	r.wants("main", r.untilLog(pod.Status.ContainerStatuses[0].ContainerID, "\nup\n"), "IP="+pod.Status.PodIP+"\n")
	if n := calls.Load(); n != 4 {
		t.Errorf("%d creates and starts, want 4", n)
	}
}

// A sandbox that does not start leaves its first container made, and never started in nothing.
func TestSandboxThatDoesNotStartIsMadeAgain(t *testing.T) {
	r := newTestCluster(t)
	var failed atomic.Bool
	r.engineAPI = &interceptedAPI{API: r.docker, start: func(_ context.Context, name string) error {
		if isSandboxName(name) && !failed.Swap(true) {
			return errors.New("the first start fails")
		}
		return nil
	}}
	r.start()
	r.run("web", nil, podFiles...)
	pod := r.untilRunning("web")
	if e := r.untilEvent("web", "FailedCreatePodSandBox"); !strings.Contains(e.Message, "the first start fails") {
		t.Errorf("event: %q", e.Message)
	}
	c := pod.Status.ContainerStatuses[0]
	if c.RestartCount != 0 {
		t.Errorf("%d restarts of a container that had not run", c.RestartCount)
	}
	r.wants("main", r.untilLog(c.ContainerID, "\nup\n"), pod.Status.PodIP+"\tweb\n")
	if n := len(r.containers()); n != 2 {
		t.Errorf("containers: %v", names(r.containers()))
	}
}

// A container that was made when the kubelet ended is made again by the next: what it was made from may have changed.
func TestContainerThatWasOnlyMadeIsMadeAgain(t *testing.T) {
	r := newTestCluster(t)
	tried := make(chan struct{})
	var once sync.Once
	r.engineAPI = &interceptedAPI{API: r.docker, start: func(_ context.Context, name string) error {
		if strings.HasPrefix(name, "k8s_main_") {
			once.Do(func() { close(tried) })
			return errors.New("this kubelet starts nothing")
		}
		return nil
	}}
	r.start()
	r.run("web", nil, "run")
	select {
	case <-tried:
	case <-time.After(patience):
		t.Fatal("no start was tried")
	}
	r.stop()
	first := r.inspect()["main"]
	r.engineAPI = r.docker
	r.start()
	c := r.untilRunning("web").Status.ContainerStatuses[0]
	if c.RestartCount != 0 || strings.HasSuffix(c.ContainerID, first.ID) {
		t.Errorf("container %s with %d restarts; the one only made was %s", c.ContainerID, c.RestartCount, first.ID)
	}
}

// A volume that cannot be mounted holds the first container back, sandbox or not.
func TestFirstContainerWaitsForItsVolumes(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "late", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "late", MountPath: "/late"}}
	}, "cat", "/late/key")
	r.untilEvent("web", "FailedMount")
	if _, ok := r.inspect()["main"]; ok {
		t.Error("the container was made without its volume")
	}
	if _, err := registry.For[*corev1.ConfigMap](r.api).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "late"}, Data: map[string]string{"key": "it came"},
	}); err != nil {
		t.Fatal(err)
	}
	c := r.untilRunning("web").Status.ContainerStatuses[0]
	if c.RestartCount != 0 {
		t.Errorf("%d restarts", c.RestartCount)
	}
	r.wants("main", r.untilLog(c.ContainerID, "\nup\n"), "it came")
}

// A pod that is deleted while its sandbox waits for others' to start gets none, and goes before those have started.
func TestPodDeletedBeforeItsSandboxGetsNone(t *testing.T) {
	r := newTestCluster(t)
	starting, goOn := make(chan struct{}, maxStartingSandboxes), make(chan struct{})
	var late atomic.Int32
	r.engineAPI = &interceptedAPI{API: r.docker,
		create: func(name string, _ *container.Config, _ *container.HostConfig) error {
			if strings.Contains(name, "_late_") {
				late.Add(1)
			}
			return nil
		},
		start: func(ctx context.Context, name string) error {
			if isSandboxName(name) {
				starting <- struct{}{}
				select {
				case <-goOn:
				case <-ctx.Done():
				}
			}
			return nil
		},
	}
	defer close(goOn)
	r.start()
	for i := range maxStartingSandboxes {
		r.run(fmt.Sprintf("early%d", i), nil, "run")
	}
	for range maxStartingSandboxes {
		select {
		case <-starting:
		case <-time.After(patience):
			t.Fatal("the first sandboxes are not being started")
		}
	}
	r.run("late", nil, "run")
	r.until("late", "seen by the kubelet", func(p *corev1.Pod) bool { return p.Status.StartTime != nil })
	r.delete("late", nil)
	r.until("late", "gone", func(p *corev1.Pod) bool { return p == nil })
	if n := late.Load(); n != 0 {
		t.Errorf("%d containers were made for a pod that was deleted before its sandbox", n)
	}
}
