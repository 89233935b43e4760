package kubelet

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/env"
	"gantry/agents/kubelet/volumes"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// configure makes the container's configuration. Its errors are for the container's status.
func (k *kubelet) configure(ctx context.Context, in startInput, image *engine.Image) (engine.ContainerConfig, error) {
	c := in.action.container.Container
	if in.volumes == nil {
		v, err := k.mountVolumes(ctx, in.pod)
		if err != nil {
			return engine.ContainerConfig{}, err
		}
		in.volumes = v
	}
	vars, err := env.Resolve(in.pod, c, k.envSources(ctx, in.pod, in.podIP))
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	mounts, err := volumeMounts(c, in.volumes, vars, func(v volume, index int, sub string) (string, error) {
		return k.mountSubPath(ctx, in.pod, volumes.SubPath{Volume: c.VolumeMounts[index].Name, Root: v.path, Container: c.Name, Index: index, Path: sub})
	})
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	dir, err := k.podDir(string(in.pod.UID))
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	message, err := messageMount(c, in.action.attempt, dir)
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	for _, more := range [][]engine.Mount{podFileMounts(in.pod, c, dir), message} {
		mounts = append(mounts, more...)
	}
	return containerConfig(in, image, vars, mounts)
}

// containerConfig is what the container of a start is created from.
func containerConfig(in startInput, image *engine.Image, vars *env.Environment, mounts []engine.Mount) (engine.ContainerConfig, error) {
	c := in.action.container.Container
	security := securityOf(in.pod, c)
	if err := checkNonRoot(in.pod, c, security, image.User); err != nil {
		return engine.ContainerConfig{}, err
	}
	return engine.ContainerConfig{
		Pod: in.pod, Container: c, Sandbox: in.sandbox, Attempt: in.action.attempt, Backoff: in.action.backoff, Grace: specGrace(in.pod),
		Image: image, Env: vars.List(), Command: env.ExpandAll(c.Command, vars.Get), Args: env.ExpandAll(c.Args, vars.Get), Mounts: mounts,
		Security: security, QOS: qosClass(in.pod), Resources: engineResources(c),
	}, nil
}

// envSources reads what environment variables refer to, through the gateway: a node may not read it in etcd.
func (k *kubelet) envSources(ctx context.Context, pod *corev1.Pod, podIP netip.Addr) env.Sources {
	return env.Sources{
		ConfigMap: func(name string) (*corev1.ConfigMap, bool, error) {
			return read[*corev1.ConfigMap](ctx, k.cfg.Gateway, core.ConfigMap, pod.Namespace, name)
		},
		Secret: func(name string) (*corev1.Secret, bool, error) {
			return read[*corev1.Secret](ctx, k.cfg.Gateway, core.Secret, pod.Namespace, name)
		},
		Services:    env.ServiceVariables(pod, k.services(ctx)),
		NodeIP:      k.cfg.NodeIP,
		PodIP:       podIP,
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

// mountVolumes makes the pod's volumes.
func (k *kubelet) mountVolumes(ctx context.Context, pod *corev1.Pod) (map[string]volume, error) {
	m, err := k.volumes.Mount(ctx, pod)
	if err != nil {
		return nil, err
	}
	out := make(map[string]volume, len(m))
	for name, v := range m {
		out[name] = volume{v.Path, v.ReadOnly}
	}
	return out, nil
}

// mountSubPath logs its error: the pod's status is not to name the host's files.
func (k *kubelet) mountSubPath(ctx context.Context, pod *corev1.Pod, s volumes.SubPath) (string, error) {
	place, err := k.volumes.MountSubPath(ctx, pod, s)
	if err != nil {
		k.log.Warn("subPath not mounted", "ns", pod.Namespace, "name", pod.Name, "container", s.Container, "volume", s.Volume, "err", err)
	}
	return place, err
}
