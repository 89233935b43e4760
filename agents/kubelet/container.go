package kubelet

import (
	"fmt"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/strslice"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/pause"
)

// engine is what a container's configuration depends on of the engine and its host; detected once (features.go).
type engine struct {
	memory      int64 // bytes of the host
	arch        string
	swapLimit   bool // swap can be limited
	memoryLimit bool
	cpuQuota    bool
	cpuShares   bool
	appArmor    bool
	jsonLogs    bool     // the default log driver is json-file
	negativeOOM bool     // a container can have a negative oom_score_adj
	privileged  bool     // a container can be --privileged
	missing     []string // capabilities that a privileged container does without where it can't
	// pauseSeccomp: the pause container starts with a seccomp profile of its own.
	pauseSeccomp bool
}

// containerInput is all a container's configuration is made of.
type containerInput struct {
	node      string
	pod       *corev1.Pod
	container *corev1.Container
	sandbox   string // ID
	attempt   int
	backoff   time.Duration
	image     string // reference or ID to run
	imageUser string
	env       *environment
	mounts    []mount.Mount // volumes, files of ours
	engine    engine
	seccomp   string // directory
	podIP     netip.Addr
}

// containerConfig is a container as the engine wants it.
type containerConfig struct {
	name   string
	config *container.Config
	host   *container.HostConfig
}

// logOptions bound a container's log, where the engine keeps it as files of its own: 5 files of 10 MiB.
var logOptions = map[string]string{"max-size": "10m", "max-file": "5"}

// renderContainer turns a container of a pod into the engine's terms. An error is the pod author's to mend; its text is for
// the container's status.
func renderContainer(in containerInput) (containerConfig, error) {
	s := securityOf(in.pod, in.container)
	if err := checkNonRoot(in.pod, in.container, s, in.imageUser); err != nil {
		return containerConfig{}, err
	}
	user, err := dockerUser(s, in.imageUser)
	if err != nil {
		return containerConfig{}, err
	}
	c := in.container
	config := &container.Config{
		Image:       in.image,
		User:        user,
		Env:         in.env.list(),
		Entrypoint:  strslice.StrSlice(expandAll(c.Command, in.env.get)),
		Cmd:         strslice.StrSlice(expandAll(c.Args, in.env.get)),
		WorkingDir:  c.WorkingDir,
		Labels:      containerLabels(in.pod, c, in.node, in.sandbox, in.attempt, in.backoff),
		OpenStdin:   c.Stdin,
		StdinOnce:   c.StdinOnce,
		Tty:         c.TTY,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}}, // the pod's probes decide, not the image's
		StopSignal:  stopSignal(c),
	}
	join := container.NetworkMode("container:" + in.sandbox)
	host := &container.HostConfig{
		NetworkMode: join,
		IpcMode:     container.IpcMode(join),
		Mounts:      in.mounts,
		OomScoreAdj: clampOOM(oomScore(in.pod, c, in.engine.memory), in.engine),
		Resources:   renderResources(c, in.engine),
	}
	namespaces(host, in.pod)
	if in.pod.Spec.ShareProcessNamespace != nil && *in.pod.Spec.ShareProcessNamespace && !in.pod.Spec.HostPID {
		host.PidMode = container.PidMode(join)
	}
	if in.engine.jsonLogs {
		host.LogConfig = container.LogConfig{Type: "json-file", Config: logOptions}
	}
	if err := secure(host, in.pod, s, in.engine, in.seccomp); err != nil {
		return containerConfig{}, err
	}
	return containerConfig{dockerName(in.pod, c.Name, in.attempt), config, host}, nil
}

func stopSignal(c *corev1.Container) string {
	if c.Lifecycle == nil || c.Lifecycle.StopSignal == nil {
		return ""
	}
	return string(*c.Lifecycle.StopSignal)
}

// namespaces sets what a container of the pod shares with the host.
func namespaces(h *container.HostConfig, pod *corev1.Pod) {
	if pod.Spec.HostNetwork {
		h.UTSMode = "host"
	}
	if pod.Spec.HostPID {
		h.PidMode = "host"
	}
	if pod.Spec.HostIPC {
		h.IpcMode = "host"
	}
}

// clampOOM keeps a score within what the engine can set: without CAP_SYS_RESOURCE a start with a lower one fails.
func clampOOM(score int, e engine) int {
	if !e.negativeOOM {
		return max(score, 0)
	}
	return score
}

func renderResources(c *corev1.Container, e engine) container.Resources {
	var r container.Resources
	if e.cpuShares {
		r.CPUShares = cpuShares(requestMilli(c))
	}
	if q := cpuQuota(milli(*c.Resources.Limits.Cpu())); q > 0 && e.cpuQuota {
		r.CPUPeriod, r.CPUQuota = cpuPeriod, q
	}
	if m := c.Resources.Limits.Memory().Value(); m > 0 && e.memoryLimit {
		r.Memory = m
		if e.swapLimit {
			r.MemorySwap = m // none beyond memory
		}
	}
	return r
}

// renderSandbox is the pod's pause container; domain is the cluster's.
func renderSandbox(pod *corev1.Pod, node, image, domain string, attempt int, e engine) containerConfig {
	config := &container.Config{
		Image:  image,
		Labels: sandboxLabels(pod, node, attempt),
	}
	host := &container.HostConfig{
		NetworkMode: "none",
		IpcMode:     "shareable",
		OomScoreAdj: clampOOM(oomSandbox, e),
		LogConfig:   container.LogConfig{Type: "none"},
	}
	if e.pauseSeccomp {
		confinePause(host)
	}
	// No CPU shares: the program only waits, and with the least of them its start waits for everybody on a busy machine.
	if pod.Spec.HostNetwork {
		host.NetworkMode = "host"
	} else {
		// The engine then makes an empty network namespace and does nothing else for it: no sandbox of libnetwork, no hook that runs
		// dockerd again. It makes no hosts and resolv.conf either: see podFileMounts.
		config.NetworkDisabled = true
		config.Hostname = hostname(pod)
		if d := podDomain(pod); d != "" && pod.Spec.SetHostnameAsFQDN != nil && *pod.Spec.SetHostnameAsFQDN {
			config.Hostname += "." + d + "." + domain
		}
	}
	namespaces(host, pod)
	if host.PidMode == "host" {
		host.PidMode = "" // the pause program must be the first of its own
	}
	host.Sysctls = sysctls(pod)
	return containerConfig{dockerName(pod, sandboxName, attempt), config, host}
}

// confinePause leaves the pause container what its program needs and no more, which also starts faster.
func confinePause(h *container.HostConfig) *container.HostConfig {
	h.CapDrop = []string{"ALL"}
	h.SecurityOpt = append(h.SecurityOpt, "no-new-privileges", "seccomp="+pause.SeccompProfile())
	return h
}

// maxHostname is Linux' limit, in bytes.
const maxHostname = 63

// hostname is the pod's name of itself.
func hostname(pod *corev1.Pod) string {
	name := pod.Name
	if pod.Spec.HostnameOverride != nil && *pod.Spec.HostnameOverride != "" {
		name = *pod.Spec.HostnameOverride
	} else if pod.Spec.Hostname != "" {
		name = pod.Spec.Hostname
	}
	if len(name) > maxHostname {
		name = strings.TrimRight(name[:maxHostname], "-.")
	}
	return name
}

// podDomain is what follows the pod's hostname in its full name, without the cluster's domain; "" without a subdomain.
func podDomain(pod *corev1.Pod) string {
	if pod.Spec.Subdomain == "" {
		return ""
	}
	return fmt.Sprintf("%s.%s.svc", pod.Spec.Subdomain, pod.Namespace)
}

// mounted tells whether the container itself mounts something at a place.
func mounted(c *corev1.Container, at string) bool {
	for _, m := range c.VolumeMounts {
		if path.Clean(m.MountPath) == at {
			return true
		}
	}
	return false
}
