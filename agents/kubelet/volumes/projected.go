package volumes

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
)

// projectedPlugin writes the files of several sources, service account tokens among them, into one volume.
func projectedPlugin() Plugin {
	is := func(vol *corev1.Volume) bool { return vol.Projected != nil }
	return objectsPlugin("kubernetes.io/projected", is, func(c *collector, vol *corev1.Volume) error {
		c.mode = modeOr(vol.Projected.DefaultMode)
		return c.projected(vol.Projected.Sources)
	})
}

func (c *collector) projected(sources []corev1.VolumeProjection) error {
	for _, s := range sources {
		var err error
		switch {
		case s.ConfigMap != nil:
			err = c.configMap(s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.Optional)
		case s.Secret != nil:
			err = c.secret(s.Secret.Name, s.Secret.Items, s.Secret.Optional)
		case s.DownwardAPI != nil:
			err = c.downward(s.DownwardAPI.Items)
		case s.ServiceAccountToken != nil:
			err = c.token(s.ServiceAccountToken)
		default:
			err = errors.New("projected source is not supported by this node")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
