package engine

import (
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/strslice"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/pause"
)

// dockerConfig is a container as Docker wants it.
type dockerConfig struct {
	name   string
	config *container.Config
	host   *container.HostConfig
}

// logOptions bound a container's log, where the engine keeps it as files of its own: 5 files of 10 MiB.
var logOptions = map[string]string{"max-size": "10m", "max-file": "5"}

// containerConfig is a container of a pod as Docker's configuration. seccompDir holds the files of Localhost profiles. Errors are ErrConfig.
func containerConfig(in ContainerConfig, node, seccompDir string, f features) (dockerConfig, error) {
	c := in.Container
	config := &container.Config{
		Image:       in.Image.Ref,
		User:        dockerUser(in.Security, in.Image.User),
		Env:         in.Env,
		Entrypoint:  strslice.StrSlice(in.Command),
		Cmd:         strslice.StrSlice(in.Args),
		WorkingDir:  c.WorkingDir,
		Labels:      containerLabels(in, node),
		OpenStdin:   c.Stdin,
		StdinOnce:   c.StdinOnce,
		Tty:         c.TTY,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}}, // the pod's probes are used, not the image's
		StopSignal:  stopSignal(c),
	}
	join := container.NetworkMode("container:" + in.Sandbox)
	host := &container.HostConfig{
		NetworkMode: join,
		IpcMode:     container.IpcMode(join),
		Mounts:      dockerMounts(in.Mounts),
		OomScoreAdj: clampOOM(oomScore(in.Pod, c, in.QOS, f.memory), f),
		Resources:   dockerResources(in.Resources, f),
	}
	host.Devices = dockerDevices(in.Devices)
	namespaces(host, in.Pod)
	switch shares := in.Pod.Spec.ShareProcessNamespace; {
	case in.Pod.Spec.HostPID:
	case shares != nil && *shares:
		host.PidMode = container.PidMode(join)
	case in.Target != "":
		host.PidMode = container.PidMode("container:" + in.Target)
	}
	if f.jsonLogs {
		host.LogConfig = container.LogConfig{Type: "json-file", Config: logOptions}
	}
	if err := secure(host, in.Pod, in.Security, f, seccompDir); err != nil {
		return dockerConfig{}, &kindError{ErrConfig, err}
	}
	return dockerConfig{dockerName(in.Pod, c.Name, in.Attempt), config, host}, nil
}

func dockerMounts(mounts []Mount) []mount.Mount {
	var all []mount.Mount
	for _, m := range mounts {
		d := mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
		if p := propagations[m.Propagation]; p != "" {
			d.BindOptions = &mount.BindOptions{Propagation: p}
		}
		all = append(all, d)
	}
	return all
}

func dockerDevices(devices []Device) []container.DeviceMapping {
	var all []container.DeviceMapping
	for _, d := range devices {
		permissions := "mrw"
		if d.ReadOnly {
			permissions = "r"
		}
		all = append(all, container.DeviceMapping{PathOnHost: d.Source, PathInContainer: d.Target, CgroupPermissions: permissions})
	}
	return all
}

// propagations lack MountPropagationNone: it is the engine's default, and the engine refuses a mount of / or of another folder above its own data
// that asks for it by name.
var propagations = map[corev1.MountPropagationMode]mount.Propagation{
	corev1.MountPropagationHostToContainer: mount.PropagationRSlave,
	corev1.MountPropagationBidirectional:   mount.PropagationRShared,
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

// sandboxConfig is a pod's sandbox as Docker's configuration.
func sandboxConfig(in SandboxConfig, node, image string, f features) dockerConfig {
	config := &container.Config{
		Image:  image,
		Labels: sandboxLabels(in, node),
	}
	host := &container.HostConfig{
		NetworkMode: "none",
		IpcMode:     "shareable",
		OomScoreAdj: clampOOM(oomSandbox, f),
		LogConfig:   container.LogConfig{Type: "none"},
	}
	if f.pauseSeccomp {
		confinePause(host)
	}
	// No CPU shares: the program only waits, and with the least of them its start waits for every other process on a busy machine.
	if in.Pod.Spec.HostNetwork {
		host.NetworkMode = "host"
	} else {
		// The engine then makes an empty network namespace and does nothing else for it: no sandbox of libnetwork, no hook that runs
		// dockerd again. It makes no hosts and resolv.conf either: the kubelet mounts them.
		config.NetworkDisabled = true
		config.Hostname = in.Hostname
	}
	namespaces(host, in.Pod)
	if host.PidMode == "host" {
		host.PidMode = "" // the pause program must be the first of its own
	}
	host.Sysctls = in.Sysctls
	return dockerConfig{dockerName(in.Pod, SandboxName, in.Attempt), config, host}
}

// confinePause takes from the pause container what its program does not need, which also starts it faster.
func confinePause(h *container.HostConfig) *container.HostConfig {
	h.CapDrop = []string{"ALL"}
	h.SecurityOpt = append(h.SecurityOpt, "no-new-privileges", "seccomp="+pause.SeccompProfile())
	return h
}
