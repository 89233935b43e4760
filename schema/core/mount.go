package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// checkMounts checks a container's mounts and block devices against the pod's volumes and each other.
func (c *podCheck) checkMounts(ctr *corev1.Container, p *field.Path) {
	if len(ctr.VolumeMounts) == 0 && len(ctr.VolumeDevices) == 0 {
		return
	}
	mounted, devices := map[string]string{}, map[string]string{}
	for _, m := range ctr.VolumeMounts {
		mounted[m.Name] = m.MountPath
	}
	for _, d := range ctr.VolumeDevices {
		devices[d.Name] = d.DevicePath
	}
	mountPaths, devicePaths := valuesOf(mounted), valuesOf(devices)
	list, used := p.Child("volumeMounts"), map[string]bool{}
	for i := range ctr.VolumeMounts {
		m, at := &ctr.VolumeMounts[i], list.Index(i)
		c.checkMount(m, at, used, devices, devicePaths)
		c.checkMountOptions(ctr, m, list, at)
	}
	c.checkDevices(ctr.VolumeDevices, p.Child("volumeDevices"), mounted, mountPaths)
}

func (c *podCheck) checkMount(m *corev1.VolumeMount, p *field.Path, used map[string]bool, devices map[string]string, devicePaths map[string]bool) {
	name, path := p.Child("name"), p.Child("mountPath")
	c.Set(name, m.Name)
	if c.volumes[m.Name] == nil {
		c.NotFound(name, m.Name)
	}
	c.Set(path, m.MountPath)
	if used[m.MountPath] {
		c.Invalid(path, m.MountPath, "must be unique")
	}
	used[m.MountPath] = true
	if _, ok := devices[m.Name]; ok {
		c.Invalid(name, m.Name, "must not already exist in volumeDevices")
	}
	if devicePaths[m.MountPath] {
		c.Invalid(path, m.MountPath, "must not already exist as a path in volumeDevices")
	}
}

// valuesOf is the set of a map's values; nil for none.
func valuesOf(m map[string]string) map[string]bool {
	if len(m) == 0 {
		return nil
	}
	set := make(map[string]bool, len(m))
	for _, v := range m {
		set[v] = true
	}
	return set
}

// checkMountOptions names the list, not the mount, where Kubernetes does.
func (c *podCheck) checkMountOptions(ctr *corev1.Container, m *corev1.VolumeMount, list, p *field.Path) {
	if m.SubPath != "" {
		c.checkBelow(m.SubPath, list.Child("subPath"))
	}
	if m.SubPathExpr != "" {
		if m.SubPath != "" {
			c.Invalid(p.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive")
		}
		c.checkBelow(m.SubPathExpr, list.Child("subPathExpr"))
	}
	if m.MountPropagation != nil {
		at := list.Child("mountPropagation")
		check.OneOf(&c.Errors, at, *m.MountPropagation, corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)
		if *m.MountPropagation == corev1.MountPropagationBidirectional && !isPrivileged(ctr) {
			c.Forbidden(at, "Bidirectional mount propagation is available only to privileged containers")
		}
	}
	if m.RecursiveReadOnly != nil {
		c.checkRecursiveReadOnly(m, list.Child("recursiveReadOnly"))
	}
}

func isPrivileged(ctr *corev1.Container) bool {
	return ctr.SecurityContext != nil && ctr.SecurityContext.Privileged != nil && *ctr.SecurityContext.Privileged
}

func (c *podCheck) checkRecursiveReadOnly(m *corev1.VolumeMount, p *field.Path) {
	switch *m.RecursiveReadOnly {
	case corev1.RecursiveReadOnlyDisabled:
	case corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible:
		if !m.ReadOnly {
			c.Forbidden(p, "may only be specified when readOnly is true")
		}
		if m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone {
			c.Forbidden(p, "may only be specified when mountPropagation is None or not specified")
		}
	default:
		check.OneOf(&c.Errors, p, *m.RecursiveReadOnly, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible)
	}
}

func (c *podCheck) checkDevices(devices []corev1.VolumeDevice, list *field.Path, mounted map[string]string, mountPaths map[string]bool) {
	names, paths := map[string]bool{}, map[string]bool{}
	for i, d := range devices {
		name, path := list.Index(i).Child("name"), list.Index(i).Child("devicePath")
		volume := c.volumes[d.Name]
		c.Set(name, d.Name)
		if names[d.Name] {
			c.Invalid(name, d.Name, "must be unique")
		}
		switch {
		case volume == nil:
			c.NotFound(name, d.Name)
		case volume.PersistentVolumeClaim == nil && volume.Ephemeral == nil:
			c.Invalid(name, d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")
		}
		c.Set(path, d.DevicePath)
		if paths[d.DevicePath] {
			c.Invalid(path, d.DevicePath, "must be unique")
		}
		if hasBackstep(d.DevicePath) {
			c.Invalid(path, d.DevicePath, "can not contain backsteps ('..')")
		} else {
			paths[d.DevicePath] = true
		}
		if _, ok := mounted[d.Name]; ok {
			c.Invalid(name, d.Name, "must not already exist in volumeMounts")
		}
		if mountPaths[d.DevicePath] {
			c.Invalid(path, d.DevicePath, "must not already exist as a path in volumeMounts")
		}
		if d.Name != "" {
			names[d.Name] = true
		}
	}
}
