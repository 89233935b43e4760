package volumes

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// downwardAPIPlugin writes fields and resources of the pod as files.
func downwardAPIPlugin() Plugin {
	is := func(vol *corev1.Volume) bool { return vol.DownwardAPI != nil }
	return objectsPlugin("kubernetes.io/downward-api", is, func(c *collector, vol *corev1.Volume) error {
		c.mode = modeOr(vol.DownwardAPI.DefaultMode)
		return c.downward(vol.DownwardAPI.Items)
	})
}

func (c *collector) downward(items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		text, err := c.downwardValue(item)
		if err != nil {
			return err
		}
		if err := c.add(item.Path, []byte(text), item.Mode); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) downwardValue(item corev1.DownwardAPIVolumeFile) (string, error) {
	switch {
	case item.FieldRef != nil && item.FieldRef.FieldPath == "metadata.labels":
		return lines(c.pod.Labels), nil
	case item.FieldRef != nil && item.FieldRef.FieldPath == "metadata.annotations":
		return lines(c.pod.Annotations), nil
	case item.FieldRef != nil:
		return c.cfg.Field(c.pod, item.FieldRef.FieldPath)
	case item.ResourceFieldRef != nil:
		for i := range c.pod.Spec.Containers {
			if ctr := &c.pod.Spec.Containers[i]; ctr.Name == item.ResourceFieldRef.ContainerName {
				return c.cfg.Resource(c.pod, ctr, item.ResourceFieldRef)
			}
		}
		return "", fmt.Errorf("container %q not found", item.ResourceFieldRef.ContainerName)
	}
	return "", fmt.Errorf("%q has neither a fieldRef nor a resourceFieldRef", item.Path)
}

// lines is a map as downward API files show it: key="value", sorted.
func lines(m map[string]string) string {
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(k + "=" + strconv.Quote(m[k]))
	}
	return b.String()
}
