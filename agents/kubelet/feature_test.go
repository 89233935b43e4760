package kubelet

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/lifecycle"
	"gantry/agents/kubelet/node"
)

func command(args ...string) corev1.ProbeHandler {
	return corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: append([]string{"/pod"}, args...)}}
}

func TestFailedLivenessProbeRestarts(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("sick", func(p *corev1.Pod) {
		p.Spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: command("stat", "/none"), PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5}
	}, "run")
	r.until("sick", "restarted", func(p *corev1.Pod) bool { c := statuses(p); return len(c) == 1 && c[0].RestartCount > 0 })
	r.untilEvent("sick", "Unhealthy")
	if e := r.untilEvent("sick", "Killing"); e.Message != "Container main failed liveness probe, will be restarted" {
		t.Errorf("event: %q", e.Message)
	}
}

func TestReadinessProbeHoldsThePodBack(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: command("stat", "/tmp/ready"), PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5}
		p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: command("touch", "/tmp/started").Exec}}
	}, "run")
	pod := r.until("web", "running", hasPhase(corev1.PodRunning))
	if isReady(pod) {
		t.Error("the pod is ready before its probe")
	}
	r.untilEvent("web", "Unhealthy")
	commands := lifecycle.Runner{Engine: r.engine()}
	id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "docker://")
	if _, code, err := commands.Exec(t.Context(), id, []string{"/pod", "stat", "/tmp/started"}); err != nil || code != 0 {
		t.Errorf("the postStart hook left nothing: %d %v", code, err)
	}
	if _, code, err := commands.Exec(t.Context(), id, []string{"/pod", "touch", "/tmp/ready"}); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	r.untilRunning("web")
}

func TestPreStopRunsFirst(t *testing.T) {
	r := newTestCluster(t).start()
	dir := t.TempDir()
	r.run("web", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "out", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "out", MountPath: "/out"}}
		p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: command("touch", "/out/stopped").Exec}}
	}, "run")
	r.untilRunning("web")
	r.delete("web", nil)
	r.until("web", "gone", isGone)
	if !exists(dir + "/stopped") {
		t.Error("the preStop hook left nothing")
	}
}

func TestHostNamespaces(t *testing.T) {
	r := newTestCluster(t).start()
	share := true
	r.run("host", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "run")
	r.run("shared", func(p *corev1.Pod) {
		p.Spec.ShareProcessNamespace = &share
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "second", Image: testImage, Args: []string{"cat", "/proc/1/comm"}})
	}, "run")
	if pod := r.untilRunning("host"); pod.Status.PodIP != "192.0.2.1" {
		t.Errorf("address of a pod in the node's network: %s", pod.Status.PodIP)
	}
	pod := r.untilRunning("shared")
	if text := r.untilLog(pod.Status.ContainerStatuses[1].ContainerID, "\nup\n"); !strings.Contains(text, "\npause\n") {
		t.Errorf("the first process is not the sandbox's:\n%s", text)
	}
	r.delete("host", nil)
	r.until("host", "gone", isGone)
}

func TestNodeIsRegistered(t *testing.T) {
	r := newTestCluster(t).start()
	n := r.untilNodeReady()
	if n.Labels[corev1.LabelHostname] != r.node || n.Labels[corev1.LabelOSStable] != "linux" || n.Labels[corev1.LabelArchStable] == "" {
		t.Errorf("labels: %v", n.Labels)
	}
	if !strings.HasPrefix(n.Status.NodeInfo.ContainerRuntimeVersion, "docker://") || n.Status.NodeInfo.KubeletVersion != node.Version {
		t.Errorf("info: %+v", n.Status.NodeInfo)
	}
	if n.Status.Capacity.Cpu().IsZero() || n.Status.Capacity.Memory().IsZero() || n.Status.Capacity.Pods().Value() != 110 || n.Status.DaemonEndpoints.KubeletEndpoint.Port != Port {
		t.Errorf("status: %+v", n.Status)
	}
	r.untilLease()
}

func TestPrivilegedContainerStarts(t *testing.T) {
	r := newTestCluster(t).start()
	r.run("root", func(p *corev1.Pod) {
		yes := true
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: quantity("500m"), corev1.ResourceMemory: quantity("64Mi")}
	}, "cat", "/proc/self/status")
	pod := r.untilRunning("root")
	text := r.untilLog(pod.Status.ContainerStatuses[0].ContainerID, "\nup\n")
	if !strings.Contains(text, "Seccomp:\t0") {
		t.Errorf("seccomp confines a privileged container:\n%s", text)
	}
	if pod.Status.QOSClass != corev1.PodQOSGuaranteed {
		t.Errorf("quality of service: %s", pod.Status.QOSClass)
	}
	in, err := r.docker.ContainerInspect(t.Context(), strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "docker://"))
	if err != nil {
		t.Fatal(err)
	}
	if in.HostConfig.CPUQuota != 50000 || in.HostConfig.Memory != 64<<20 || in.HostConfig.CPUShares != 512 {
		t.Errorf("resources: %+v", in.HostConfig.Resources)
	}
}

func TestImageVolume(t *testing.T) {
	r := newTestCluster(t).start()
	mount := func(p *corev1.Pod, image string) {
		p.Spec.Volumes = []corev1.Volume{{Name: "files", VolumeSource: corev1.VolumeSource{
			Image: &corev1.ImageVolumeSource{Reference: image, PullPolicy: corev1.PullNever},
		}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "files", MountPath: "/files"}}
	}
	r.run("reader", func(p *corev1.Pod) { mount(p, testImage) }, "run")
	r.run("without", func(p *corev1.Pod) { mount(p, "nobody.invalid/none:1") }, "run")
	pod := r.untilRunning("reader")
	commands := lifecycle.Runner{Engine: r.engine()}
	id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "docker://")
	for _, c := range []struct {
		works   bool
		command []string
	}{
		{true, []string{"/pod", "stat", "/files/pod"}}, {false, []string{"/pod", "touch", "/files/new"}}, {false, []string{"/files/pod", "stat", "/pod"}},
	} {
		if _, code, err := commands.Exec(t.Context(), id, c.command); (err == nil && code == 0) != c.works {
			t.Errorf("%q: %d %v", c.command, code, err)
		}
	}
	pod = r.until("without", "held back", func(p *corev1.Pod) bool {
		c := statuses(p)
		return len(c) == 1 && c[0].State.Waiting != nil && c[0].State.Waiting.Reason == "ErrImageNeverPull"
	})
	if m := pod.Status.ContainerStatuses[0].State.Waiting.Message; m != `Container image "nobody.invalid/none:1" is not present with pull policy of Never` {
		t.Errorf("message: %s", m)
	}
	r.delete("reader", nil)
	r.until("reader", "gone", isGone)
}
