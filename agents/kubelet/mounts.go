package kubelet

import (
	"fmt"
	"syscall"

	"github.com/docker/docker/api/types/mount"
	corev1 "k8s.io/api/core/v1"
)

// noFollow keeps from following a link, and from waiting on a pipe, in the last segment of a path.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// volume is a pod's volume on the host.
type volume struct {
	path     string
	readOnly bool
}

// volumeMounts are a container's mounts of volumes. subPath makes the host's path of a part of a volume: nil where none is
// asked for. Errors are worded for the container's status.
func volumeMounts(c *corev1.Container, volumes map[string]volume, env *environment, subPath func(volume volume, index int, sub string) (string, error)) ([]mount.Mount, error) {
	var all []mount.Mount
	for i, m := range c.VolumeMounts {
		v, ok := volumes[m.Name]
		if !ok {
			return nil, fmt.Errorf("cannot find volume %q to mount into container %q", m.Name, c.Name)
		}
		source, sub := v.path, m.SubPath
		if m.SubPathExpr != "" {
			var err error
			if sub, err = expandStrictly(m.SubPathExpr, env); err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, c.Name, err)
			}
		}
		if sub != "" {
			path, err := subPath(v, i, sub)
			if err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, c.Name, err)
			}
			source = path
		}
		all = append(all, mount.Mount{
			Type: mount.TypeBind, Source: source, Target: m.MountPath, ReadOnly: m.ReadOnly || v.readOnly,
			BindOptions: &mount.BindOptions{Propagation: propagation(m.MountPropagation)},
		})
	}
	return all, nil
}

func propagation(p *corev1.MountPropagationMode) mount.Propagation {
	switch {
	case p == nil:
	case *p == corev1.MountPropagationHostToContainer:
		return mount.PropagationRSlave
	case *p == corev1.MountPropagationBidirectional:
		return mount.PropagationRShared
	}
	return mount.PropagationRPrivate
}

// expandStrictly is expand where every name must be known.
func expandStrictly(s string, env *environment) (string, error) {
	var missing string
	out := expand(s, func(name string) (string, bool) {
		v, ok := env.get(name)
		if !ok {
			missing = name
		}
		return v, ok
	})
	if missing != "" {
		return "", fmt.Errorf("missing value for %q", missing)
	}
	return out, nil
}
