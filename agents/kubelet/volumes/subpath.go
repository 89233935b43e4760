package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// subPathsDir is where a pod's subPaths are mounted, below its directory.
const subPathsDir = "volume-subpaths"

// SubPath is a part of a volume that a container mounts.
type SubPath struct {
	Volume    string // its name
	Root      string // its path on the node, see Mounted
	Container string
	Index     int    // of the container's volumeMounts
	Path      string // below the volume
}

// MountSubPath mounts a part of a volume at a place of the kubelet's own and returns that place, which leads to the same file or
// directory whatever is done in the volume meanwhile. Absent directories on the way are made as the volume's root is. A
// link that leads out of the volume is an error: the pod may have put it there (CVE-2017-1002101, CVE-2021-25741). What was
// mounted at the place before is unmounted. Unmount ends it.
func (v *Volumes) MountSubPath(ctx context.Context, pod *corev1.Pod, s SubPath) (string, error) {
	dir, err := Join(v.cfg.Dir, string(pod.UID), subPathsDir)
	if err != nil {
		return "", err
	}
	place, err := Join(dir, s.Volume, s.Container, strconv.Itoa(s.Index))
	if err != nil {
		return "", err
	}
	path, err := Local(s.Path)
	if err != nil {
		return "", err
	}
	_, p, unlock, err := v.lock(ctx, string(pod.UID), false)
	if err != nil {
		return "", err
	}
	defer unlock()
	if v.isUnmounted(p) {
		return "", errUnmounted
	}
	source, err := openSubPath(s.Root, path)
	if err != nil {
		return "", fmt.Errorf("opening subPath %q: %w", s.Path, err)
	}
	defer unix.Close(source)
	if err := mountPlaces(dir); err != nil {
		return "", err
	}
	return place, bind(source, place)
}

// openSubPath opens a part of a volume, and makes absent directories.
func openSubPath(root, path string) (int, error) {
	volume, err := openPath(root)
	if err != nil {
		return -1, err
	}
	defer unix.Close(volume)
	var info unix.Stat_t
	if err := unix.Fstat(volume, &info); err != nil {
		return -1, err
	}
	return openOrMake(volume, path, info.Mode)
}

// mountPlaces makes the directory of a pod's places, a small file system in memory: so an engine that does not see the kubelet's
// mounts finds no place at all, where it would else mount an empty directory.
func mountPlaces(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if mounted, err := isTmpfs(dir); err != nil || mounted {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700,size=1m"); err != nil {
		return fmt.Errorf("mounting a tmpfs: %w", err)
	}
	return nil
}

// bind mounts what a descriptor leads to at place, and makes that a directory or a file as the other is.
func bind(source int, place string) error {
	if err := makePlace(source, place); err != nil {
		return err
	}
	at, err := unix.Open(place, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: place, Err: err}
	}
	defer unix.Close(at)
	// From descriptor to descriptor: nothing is resolved again.
	clone, err := unix.OpenTree(source, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return os.NewSyscallError("open_tree", err)
	}
	defer unix.Close(clone)
	if err := unix.MoveMount(clone, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return os.NewSyscallError("move_mount", err)
	}
	return nil
}

// makePlace makes an empty directory or file at place, where an earlier attempt of the container may have had another.
func makePlace(source int, place string) error {
	var info unix.Stat_t
	if err := unix.Fstat(source, &info); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return err
	}
	if err := detach(place); err != nil {
		return err
	}
	if err := os.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info.Mode&unix.S_IFMT == unix.S_IFDIR {
		return os.Mkdir(place, 0o700)
	}
	return makeFile(place)
}
