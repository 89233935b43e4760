package volumes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Plugin is a volume source. A new one is a file with its plug-in and a row in plugins.
type Plugin struct {
	// Name is the plug-in's, "kubernetes.io/empty-dir". With "~" in place of "/" it names the directory that its volumes are in.
	Name string
	// Is tells whether a volume is of this source.
	Is func(vol *corev1.Volume) bool
	// Mount makes a volume and returns where it is. It is idempotent: what a restarted kubelet finds mounted stays as it is. What
	// it mounts is below the directory of Request.MakeDir.
	Mount func(ctx context.Context, r Request) (Mounted, error)
	// Unmount undoes Mount for a volume's directory, which is there, except that data and directory stay. The pod is not
	// known to it: that may be gone for long. It is idempotent; nothing is mounted at dir after it.
	Unmount func(ctx context.Context, dir string) error
	// Metrics reads what a mounted volume uses; nil: that is not known.
	Metrics func(dir string) (Metrics, error)
	// Refresh: Mount is called again while the pod runs, to bring the content up to date.
	Refresh bool
}

// plugins are the volume sources.
func plugins() []Plugin {
	return []Plugin{
		emptyDirPlugin(), hostPathPlugin(), configMapPlugin(), secretPlugin(), downwardAPIPlugin(), projectedPlugin(),
		claimPlugin(), imagePlugin(),
	}
}

// Request is what a plug-in is asked to mount.
type Request struct {
	Pod    *corev1.Pod
	Volume *corev1.Volume

	plugin  *Plugin
	volumes *Volumes
	state   *podState
}

// MakeDir makes the volume's directory, which is the plug-in's alone.
func (r Request) MakeDir() (string, error) {
	path, err := Join(r.volumes.cfg.Dir, string(r.Pod.UID), volumesDir, r.plugin.dirName(), r.Volume.Name)
	if err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o755)
}

// volumesDir is the directory of a pod's volumes, below its own.
const volumesDir = "volumes"

func (p *Plugin) dirName() string { return strings.ReplaceAll(p.Name, "/", "~") }

// pluginOf finds the plug-in of a volume.
func (v *Volumes) pluginOf(vol *corev1.Volume) (*Plugin, error) {
	for i := range v.plugins {
		if v.plugins[i].Is(vol) {
			return &v.plugins[i], nil
		}
	}
	return nil, errors.New("volume type is not supported by this node")
}

// eachVolume calls f for every volume's directory that a pod has on disk, and joins the errors. Directories of unknown plug-ins are left out.
func (v *Volumes) eachVolume(podUID string, f func(p *Plugin, name, dir string) error) error {
	var errs []error
	for i := range v.plugins {
		p := &v.plugins[i]
		parent, err := Join(v.cfg.Dir, podUID, volumesDir, p.dirName())
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(parent)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			errs = append(errs, f(p, e.Name(), filepath.Join(parent, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// unmountDir is the Unmount of plug-ins whose volume is at most mounted at its directory.
func unmountDir(_ context.Context, dir string) error { return detach(dir) }

// Metrics is what a volume uses, in bytes.
type Metrics struct{ Capacity, Used, Available int64 }

// Metrics reads what a pod's mounted volumes use, by name. Volumes of plug-ins without Metrics are left out.
func (v *Volumes) Metrics(podUID string) (map[string]Metrics, error) {
	all := map[string]Metrics{}
	err := v.eachVolume(podUID, func(p *Plugin, name, dir string) error {
		if p.Metrics == nil {
			return nil
		}
		m, err := p.Metrics(dir)
		if err == nil {
			all[name] = m
		}
		return err
	})
	return all, err
}
