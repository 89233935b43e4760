package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// file is one file of a volume, below the volume's directory.
type file struct {
	data []byte
	mode fs.FileMode
}

// files collects the files of a volume made from objects, by path.
func (v *Volumes) files(ctx context.Context, p *podState, pod *corev1.Pod, vol *corev1.Volume) (map[string]file, error) {
	c := collector{Volumes: v, ctx: ctx, state: p, pod: pod, volume: vol.Name, files: map[string]file{}}
	switch {
	case vol.ConfigMap != nil:
		s := vol.ConfigMap
		c.mode = modeOr(s.DefaultMode)
		return c.files, c.configMap(s.Name, s.Items, s.Optional)
	case vol.Secret != nil:
		s := vol.Secret
		c.mode = modeOr(s.DefaultMode)
		return c.files, c.secret(s.SecretName, s.Items, s.Optional)
	case vol.DownwardAPI != nil:
		c.mode = modeOr(vol.DownwardAPI.DefaultMode)
		return c.files, c.downward(vol.DownwardAPI.Items)
	case vol.Projected != nil:
		c.mode = modeOr(vol.Projected.DefaultMode)
		return c.files, c.projected(vol.Projected.Sources)
	}
	return nil, fmt.Errorf("volume %q is not made from objects", vol.Name)
}

func modeOr(mode *int32) fs.FileMode {
	if mode == nil {
		return 0o644
	}
	return fs.FileMode(*mode & 0o777)
}

// collector gathers the files of one volume.
type collector struct {
	*Volumes
	ctx    context.Context // of the one call that made the collector
	state  *podState
	pod    *corev1.Pod
	volume string
	mode   fs.FileMode
	files  map[string]file
}

// add puts a file at a path that some user wrote: it may not leave the volume.
func (c *collector) add(name string, data []byte, mode *int32) error {
	clean, err := Local(name)
	switch {
	case err != nil:
		return err
	case clean == ".":
		return fmt.Errorf("invalid path: must name a file: %s", name)
	case strings.HasPrefix(clean, ".."): // such names are the swap's own
		return fmt.Errorf("invalid path: must not start with '..': %s", name)
	}
	f := file{data, c.mode}
	if mode != nil {
		f.mode = modeOr(mode)
	}
	c.files[clean] = f
	return nil
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

func (c *collector) secret(name string, items []corev1.KeyToPath, optional *bool) error {
	s := &corev1.Secret{}
	if found, err := c.get(core.Secret, name, optional, &s); err != nil || !found {
		return err
	}
	return c.keys("secret", name, s.Data, items, optional)
}

// get reads an object of the pod's namespace into *obj; found is false for an optional one that is absent.
func (c *collector) get(k *schema.Kind, name string, optional *bool, obj any) (found bool, err error) {
	it, err := c.cfg.API.Get(c.ctx, k, c.pod.Namespace, name, "")
	switch {
	case errors.Is(err, registry.NotFound) && optional != nil && *optional:
		return false, nil
	case errors.Is(err, registry.NotFound):
		return false, fmt.Errorf("%s %q not found", k.Singular, name)
	case err != nil:
		return false, err
	}
	switch obj := obj.(type) {
	case **corev1.ConfigMap:
		*obj = it.Object().(*corev1.ConfigMap)
	case **corev1.Secret:
		*obj = it.Object().(*corev1.Secret)
	}
	return true, nil
}

// keys adds the keys that items name, all of them where items is empty.
func (c *collector) keys(kind, name string, data map[string][]byte, items []corev1.KeyToPath, optional *bool) error {
	if len(items) == 0 {
		for _, k := range slices.Sorted(maps.Keys(data)) {
			if err := c.add(k, data[k], nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, item := range items {
		content, ok := data[item.Key]
		if !ok && (optional == nil || !*optional) {
			return fmt.Errorf("references non-existent %s key: %s in %q", kind, item.Key, name)
		}
		if ok {
			if err := c.add(item.Path, content, item.Mode); err != nil {
				return err
			}
		}
	}
	return nil
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
