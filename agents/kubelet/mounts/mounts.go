// Package mounts has what is mounted into a container: its volumes, the pod's files below /etc, the file of the termination message.
package mounts

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/env"
	"gantry/agents/kubelet/volumes"
)

// VolumeMounts are a container's mounts of volumes. subPath makes the host's path of a part of a volume. Errors are worded for the
// container's status; they say nothing of the host's files.
func VolumeMounts(c *corev1.Container, mounted map[string]volumes.Mounted, vars *env.Environment, subPath func(volume volumes.Mounted, index int, sub string) (string, error)) ([]engine.Mount, error) {
	var all []engine.Mount
	for i, m := range c.VolumeMounts {
		v, ok := mounted[m.Name]
		if !ok {
			return nil, fmt.Errorf("cannot find volume %q to mount into container %q", m.Name, c.Name)
		}
		source, sub := v.Path, m.SubPath
		if m.SubPathExpr != "" {
			var err error
			if sub, err = env.ExpandStrictly(m.SubPathExpr, vars); err != nil {
				return nil, err
			}
		}
		if sub != "" {
			if err := checkSubPath(sub); err != nil {
				return nil, err
			}
			place, err := subPath(v, i, sub)
			if errors.Is(err, volumes.ErrNotMade) {
				return nil, fmt.Errorf("failed to create subPath directory for volumeMount %q of container %q", m.Name, c.Name)
			}
			if err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q", m.Name, c.Name)
			}
			source = place
		}
		all = append(all, engine.Mount{
			Source: source, Target: m.MountPath, ReadOnly: (m.ReadOnly || v.ReadOnly) && !v.KeepOptions, Propagation: propagation(m.MountPropagation),
		})
	}
	return all, nil
}

// VolumeDevices are a container's block devices. Errors are worded for the container's status.
func VolumeDevices(c *corev1.Container, mounted map[string]volumes.Mounted) ([]engine.Device, error) {
	var all []engine.Device
	for _, d := range c.VolumeDevices {
		v, ok := mounted[d.Name]
		if !ok || !v.Device {
			return nil, fmt.Errorf("cannot find volume %q to pass into container %q", d.Name, c.Name)
		}
		all = append(all, engine.Device{Source: v.Path, Target: d.DevicePath, ReadOnly: v.ReadOnly})
	}
	return all, nil
}

func propagation(p *corev1.MountPropagationMode) corev1.MountPropagationMode {
	if p == nil {
		return corev1.MountPropagationNone
	}
	return *p
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

func checkSubPath(sub string) error {
	if path.IsAbs(sub) {
		return fmt.Errorf("error SubPath `%s` must not be an absolute path", sub)
	}
	if slices.Contains(strings.Split(sub, "/"), "..") {
		return fmt.Errorf("unable to provision SubPath `%s`: must not contain '..'", sub)
	}
	return nil
}
