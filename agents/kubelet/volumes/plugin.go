package volumes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
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
	// One that cannot be measured is errors.ErrUnsupported.
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

// Metrics is what a volume uses.
type Metrics struct {
	Capacity, Used, Available      int64 // bytes
	Inodes, InodesUsed, InodesFree int64
}

// ofFileSystem is the state of the file system that path is on.
func ofFileSystem(path string) (Metrics, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return Metrics{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return Metrics{
		Capacity: int64(fs.Blocks) * fs.Bsize, Used: int64(fs.Blocks-fs.Bfree) * fs.Bsize, Available: int64(fs.Bavail) * fs.Bsize,
		Inodes: int64(fs.Files), InodesUsed: int64(fs.Files - fs.Ffree), InodesFree: int64(fs.Ffree),
	}, nil
}

// ofTree counts what is in a directory, whose file system it may share with others.
func ofTree(dir string) (Metrics, error) {
	m, err := ofFileSystem(dir)
	if err != nil {
		return Metrics{}, err
	}
	m.Used, m.InodesUsed = 0, 0
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		var s unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &s)
		}
		if errors.Is(err, os.ErrNotExist) { // the pod removes files meanwhile
			return nil
		}
		m.Used += s.Blocks * blockSize
		m.InodesUsed++
		return err
	})
	return m, err
}

// blockSize is the unit of stat's blocks.
const blockSize = 512 // bytes

// Metrics reads what a pod's mounted volumes use, by name. Volumes of plug-ins without Metrics are left out.
func (v *Volumes) Metrics(podUID string) (map[string]Metrics, error) {
	all := map[string]Metrics{}
	err := v.eachVolume(podUID, func(p *Plugin, name, dir string) error {
		if p.Metrics == nil {
			return nil
		}
		m, err := p.Metrics(dir)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		if err == nil {
			all[name] = m
		}
		return err
	})
	return all, err
}
