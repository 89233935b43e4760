package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema"
)

// file is one file of a volume, below the volume's directory.
type file struct {
	data []byte
	mode fs.FileMode
}

// objectsPlugin is the plug-in of a source whose files are made from objects: they are written at once and brought up to date by Refresh.
func objectsPlugin(name string, is func(*corev1.Volume) bool, collect func(c *collector, vol *corev1.Volume) error) Plugin {
	return Plugin{
		Name: name, Is: is, Refresh: true, Unmount: unmountDir, Metrics: ofTree,
		Mount: func(ctx context.Context, r Request) (Mounted, error) {
			c := collector{Volumes: r.volumes, ctx: ctx, state: r.state, pod: r.Pod, volume: r.Volume.Name, files: map[string]file{}}
			if err := collect(&c, r.Volume); err != nil {
				return Mounted{}, err
			}
			dir, err := r.MakeDir()
			if err != nil {
				return Mounted{}, err
			}
			if err := writeAll(dir, c.files, fsGroup(r.Pod)); err != nil {
				return Mounted{}, err
			}
			return Mounted{Path: dir, ReadOnly: true}, nil
		},
	}
}

// lastContent is a volume made from objects as it was mounted before, by an earlier kubelet perhaps.
func (r Request) lastContent() (last Mounted, there bool) {
	dir, err := Join(r.volumes.cfg.Dir, string(r.Pod.UID), volumesDir, r.plugin.dirName(), r.Volume.Name)
	if err != nil {
		return Mounted{}, false
	}
	_, err = os.Stat(filepath.Join(dir, dataLink))
	return Mounted{Path: dir, ReadOnly: true}, err == nil
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
