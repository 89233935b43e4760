package kubelet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema/pods"
)

// A pod that was deleted without grace is removed from the API at once and runs on for a while. The next pod waits for its cpu or
// host port.
func TestNextPodWaitsForOneThatEnds(t *testing.T) {
	r := newTestCluster(t).start()
	cpu := r.untilNodeReady().Status.Allocatable[corev1.ResourceCPU]
	whole := func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: cpu}
	}
	port := func(p *corev1.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 12345, Protocol: corev1.ProtocolTCP}}
	}
	none := int64(0)
	for name, share := range map[string]func(*corev1.Pod){"cpu": whole, "port": port} {
		r.run(name+"-0", share, "stubborn")
		r.untilLog(r.untilRunning(name + "-0").Status.ContainerStatuses[0].ContainerID, "up")
		for i := range 3 {
			r.delete(fmt.Sprintf("%s-%d", name, i), &none)
			next := fmt.Sprintf("%s-%d", name, i+1)
			r.run(next, share, "stubborn")
			r.until(next, "running and ready", func(p *corev1.Pod) bool {
				if p != nil && pods.IsTerminal(p) {
					t.Fatalf("%s: %s %s: %s", next, p.Status.Phase, p.Status.Reason, p.Status.Message)
				}
				return isReady(p)
			})
		}
		r.delete(name+"-3", &none)
	}
	r.untilNoContainers()
}

// One who would not fit anyway is refused at once, and its status is why.
func TestRefusedPodSaysWhy(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	r := newTestCluster(t).start()
	r.untilNodeReady()
	r.run("big", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: quantity("5000")}
		p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: testImage}, {Name: "side", Image: testImage, RestartPolicy: &always}}
	}, "run")
	pod := r.until("big", "Failed", hasPhase(corev1.PodFailed))
	s := pod.Status
	if s.Reason != "OutOfcpu" || len(s.ContainerStatuses) > 0 || len(s.InitContainerStatuses) > 0 || s.StartTime == nil || len(s.Conditions) > 0 {
		t.Errorf("status: %+v", s)
	}
	if e := r.untilEvent("big", "OutOfcpu"); "Pod was rejected: "+e.Message != s.Message {
		t.Errorf("event %q, status %q", e.Message, s.Message)
	}
	r.stop()
	r.start() // another kubelet leaves it so
	r.run("after", nil, "run")
	r.untilRunning("after")
	again := r.until("big", "there", func(p *corev1.Pod) bool { return p != nil })
	if d := cmp.Diff(s, again.Status); d != "" {
		t.Errorf("after a restart of the kubelet (-before +after):\n%s", d)
	}
	if err := registry.For[*corev1.Pod](r.api).Delete(t.Context(), "default", "big", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.until("big", "gone", isGone)
}

func TestSysctlsOfAPod(t *testing.T) {
	r := newTestCluster(t)
	r.change = func(c *Config) { c.AllowedUnsafeSysctls = []string{"kernel.msg*"} }
	r.start()
	sets := func(all ...corev1.Sysctl) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: all} }
	}
	r.run("unsafe", sets(corev1.Sysctl{Name: "kernel/shm_rmid_forced", Value: "1"}, corev1.Sysctl{Name: "kernel.shmmax", Value: "100000000"}), "run")
	r.run("safe", sets(corev1.Sysctl{Name: "kernel/shm_rmid_forced", Value: "1"}, corev1.Sysctl{Name: "net.ipv4.ip_local_port_range", Value: "1024 2048"},
		corev1.Sysctl{Name: "kernel.msgmax", Value: "65536"}), "cat", "/proc/sys/kernel/shm_rmid_forced", "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/kernel/msgmax")
	pod := r.until("unsafe", "Failed", hasPhase(corev1.PodFailed))
	if s := pod.Status; s.Reason != "SysctlForbidden" || s.Message != `Pod was rejected: forbidden sysctl: "kernel.shmmax" not allowlisted` || len(s.ContainerStatuses) > 0 {
		t.Errorf("status: %+v", s)
	}
	if e := r.untilEvent("unsafe", "SysctlForbidden"); e.Message != `forbidden sysctl: "kernel.shmmax" not allowlisted` || e.Type != corev1.EventTypeWarning {
		t.Errorf("event: %s %q", e.Type, e.Message)
	}
	text := r.untilLog(r.untilRunning("safe").Status.ContainerStatuses[0].ContainerID, "\nup\n")
	for _, want := range []string{"shm_rmid_forced <nil>\n1\n", "ip_local_port_range <nil>\n1024\t2048\n", "msgmax <nil>\n65536\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestConfigOfUnsafeSysctls(t *testing.T) {
	if err := (Config{AllowedUnsafeSysctls: []string{"vm.*"}}).Validate(); err == nil || !strings.Contains(err.Error(), `--allowed-unsafe-sysctls: the sysctls "vm."`) {
		t.Errorf("validating a configuration: %v", err)
	}
}
