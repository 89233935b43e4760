package volumes

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/schema/core"
)

// secretPlugin writes the keys of a secret as files.
func secretPlugin() Plugin {
	is := func(vol *corev1.Volume) bool { return vol.Secret != nil }
	return objectsPlugin("kubernetes.io/secret", is, func(c *collector, vol *corev1.Volume) error {
		s := vol.Secret
		c.mode = modeOr(s.DefaultMode)
		return c.secret(s.SecretName, s.Items, s.Optional)
	})
}

func (c *collector) secret(name string, items []corev1.KeyToPath, optional *bool) error {
	s := &corev1.Secret{}
	if found, err := c.get(core.Secret, name, optional, &s); err != nil || !found {
		return err
	}
	return c.keys("secret", name, s.Data, items, optional)
}
