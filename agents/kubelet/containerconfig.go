package kubelet

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/admission"
	"gantry/agents/kubelet/allocation"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/env"
	"gantry/agents/kubelet/mounts"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/volumes"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// configure makes the container's configuration. Its errors are for the container's status.
func (k *kubelet) configure(ctx context.Context, in startInput, image *engine.Image) (engine.ContainerConfig, error) {
	c := in.action.container.Container
	if name := podstate.TargetOf(in.pod, c.Name); name != "" && in.target == "" {
		return engine.ContainerConfig{}, fmt.Errorf("unable to find target container %v", name)
	}
	if in.volumes == nil {
		v, err := k.volumes.Mount(ctx, in.pod)
		if err != nil {
			return engine.ContainerConfig{}, err
		}
		in.volumes = v
	}
	for volume, i := range in.volumeImages {
		if err := k.volumes.MountImage(ctx, in.pod, volume, i.Layers); err != nil {
			return engine.ContainerConfig{}, fmt.Errorf("mounting image %q of volume %q: %w", i.Ref, volume, err)
		}
	}
	vars, err := env.Resolve(in.pod, c, k.envSources(ctx, in.pod, in.podIPs))
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	list, err := mounts.VolumeMounts(c, in.volumes, vars, func(v volumes.Mounted, index int, sub string) (string, error) {
		return k.mountSubPath(ctx, in.pod, volumes.SubPath{Volume: c.VolumeMounts[index].Name, Root: v.Path, Container: c.Name, Index: index, Path: sub})
	})
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	dir, err := k.podDir(string(in.pod.UID))
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	message, err := mounts.MessageMount(c, in.action.attempt, dir)
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	devices, err := mounts.VolumeDevices(c, in.volumes)
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	for _, more := range [][]engine.Mount{mounts.PodFileMounts(in.pod, c, dir), message} {
		list = append(list, more...)
	}
	return containerConfig(in, image, vars, list, devices)
}

// containerConfig is what the container of a start is created from.
func containerConfig(in startInput, image *engine.Image, vars *env.Environment, mounts []engine.Mount, devices []engine.Device) (engine.ContainerConfig, error) {
	c := in.action.container.Container
	security := admission.SecurityOf(in.pod, c)
	if err := admission.CheckNonRoot(in.pod, c, security, image.User); err != nil {
		return engine.ContainerConfig{}, err
	}
	return engine.ContainerConfig{
		Pod: in.pod, Container: c, Sandbox: in.sandbox, Target: in.target, Attempt: in.action.attempt, Backoff: in.action.backoff, Grace: podstate.SpecGrace(in.pod),
		Image: image, Env: vars.List(), Command: env.ExpandAll(c.Command, vars.Get), Args: env.ExpandAll(c.Args, vars.Get), Mounts: mounts, Devices: devices,
		Security: security, QOS: podstate.QOSClass(in.pod), Resources: allocation.EngineResources(c),
	}, nil
}

// envSources reads what environment variables refer to, through the gateway: a node may not read it in etcd.
func (k *kubelet) envSources(ctx context.Context, pod *corev1.Pod, podIPs []netip.Addr) env.Sources {
	return env.Sources{
		ConfigMap: func(name string) (*corev1.ConfigMap, bool, error) {
			return read[*corev1.ConfigMap](ctx, k.cfg.Gateway, core.ConfigMap, pod.Namespace, name)
		},
		Secret: func(name string) (*corev1.Secret, bool, error) {
			return read[*corev1.Secret](ctx, k.cfg.Gateway, core.Secret, pod.Namespace, name)
		},
		Services:    env.ServiceVariables(pod, k.services(ctx)),
		NodeIPs:     k.cfg.NodeIPs,
		PodIPs:      podIPs,
		Allocatable: k.node.Allocatable(),
	}
}

// read gets an object of the pod's namespace; ok is false where there is none.
func read[T schema.Object](ctx context.Context, api registry.API, kind *schema.Kind, namespace, name string) (obj T, ok bool, err error) {
	it, err := api.Get(ctx, kind, namespace, name, "")
	if isNotFound(err) {
		return obj, false, nil
	}
	if err != nil {
		return obj, false, fmt.Errorf("reading %s %s/%s: %w", kind.Singular, namespace, name, err)
	}
	return it.Object().(T), true, nil
}

// mountSubPath logs its error: the pod's status is not to name the host's files.
func (k *kubelet) mountSubPath(ctx context.Context, pod *corev1.Pod, s volumes.SubPath) (string, error) {
	place, err := k.volumes.MountSubPath(ctx, pod, s)
	if err != nil {
		k.log.Warn("subPath not mounted", "ns", pod.Namespace, "name", pod.Name, "container", s.Container, "volume", s.Volume, "err", err)
	}
	return place, err
}
