package volumes

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/core"
)

// configMapPlugin writes the keys of a config map as files.
func configMapPlugin() Plugin {
	is := func(vol *corev1.Volume) bool { return vol.ConfigMap != nil }
	return objectsPlugin("kubernetes.io/configmap", is, func(c *collector, vol *corev1.Volume) error {
		s := vol.ConfigMap
		c.mode = modeOr(s.DefaultMode)
		return c.configMap(s.Name, s.Items, s.Optional)
	})
}

func (c *collector) configMap(name string, items []corev1.KeyToPath, optional *bool) error {
	m := &corev1.ConfigMap{}
	if found, err := c.get(core.ConfigMap, name, optional, &m); err != nil || !found {
		return err
	}
	data := map[string][]byte{}
	for k, text := range m.Data {
		data[k] = []byte(text)
	}
	maps.Copy(data, m.BinaryData)
	return c.keys("configmap", name, data, items, optional)
}
