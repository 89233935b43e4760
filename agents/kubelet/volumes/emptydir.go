package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// emptyDirPlugin makes a directory or, for the medium Memory, a tmpfs, which anyone in the pod may write.
func emptyDirPlugin() Plugin {
	return Plugin{
		Name: "kubernetes.io/empty-dir", Is: func(vol *corev1.Volume) bool { return vol.EmptyDir != nil },
		Mount: mountEmptyDir, Unmount: unmountDir, Metrics: ofTree,
	}
}

// readWriteAll is an emptyDir's mode.
const readWriteAll = 0o777

func mountEmptyDir(_ context.Context, r Request) (Mounted, error) {
	source := r.Volume.EmptyDir
	path, err := r.MakeDir()
	if err != nil {
		return Mounted{}, err
	}
	switch source.Medium {
	case corev1.StorageMediumDefault:
	case corev1.StorageMediumMemory:
		if err := mountMemory(path, source); err != nil {
			return Mounted{}, err
		}
	default:
		return Mounted{}, fmt.Errorf("unknown storage medium %q", source.Medium)
	}
	return Mounted{Path: path}, own(path, fsGroup(r.Pod))
}

// own opens a directory to everyone and, with a group, makes what is created in it the group's.
func own(path string, group int) error {
	mode := os.FileMode(readWriteAll)
	if group >= 0 {
		if err := os.Lchown(path, -1, group); err != nil {
			return err
		}
		mode |= os.ModeSetgid
	}
	return os.Chmod(path, mode) // past the umask
}

func mountMemory(path string, source *corev1.EmptyDirVolumeSource) error {
	mounted, err := isTmpfs(path)
	if err != nil || mounted {
		return err
	}
	options := "mode=0777"
	if limit := source.SizeLimit; limit != nil && limit.Value() > 0 {
		options += fmt.Sprintf(",size=%d", limit.Value())
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	return nil
}

func isTmpfs(path string) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return false, err
	}
	var here, parent unix.Stat_t
	if err := errors.Join(unix.Lstat(path, &here), unix.Lstat(path+"/..", &parent)); err != nil {
		return false, err
	}
	// A data directory may itself be on a tmpfs: only another device than the parent's is a mount.
	return s.Type == unix.TMPFS_MAGIC && here.Dev != parent.Dev, nil
}
