package volumes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// What a volume's group may do with it, whatever the mode was: read and write files, enter directories, whose new files are the group's too.
const (
	groupFile = 0o660
	groupDir  = 0o770 | unix.S_ISGID
)

// slowOwnership is after how long an event tells that a volume's owners are still being changed.
const slowOwnership = 30 * time.Second

// ownVolume gives a volume with all that is in it to a group. With the policy OnRootMismatch it does nothing where the root is the group's.
func (r Request) ownVolume(ctx context.Context, name, root string, group int) error {
	if s := r.Pod.Spec.SecurityContext; s.FSGroupChangePolicy != nil && *s.FSGroupChangePolicy == corev1.FSGroupChangeOnRootMismatch {
		owned, err := isOwned(root, group)
		if err != nil || owned {
			return err
		}
	}
	slow := time.AfterFunc(slowOwnership, func() {
		r.warn("VolumePermissionChangeInProgress", fmt.Sprintf("Setting volume ownership for %s is taking longer than expected, consider using OnRootMismatch - "+
			"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods", name))
	})
	defer slow.Stop()
	return ownTree(ctx, root, group)
}

// isOwned tells whether a directory is a group's as ownTree would leave it.
func isOwned(root string, group int) (bool, error) {
	var info unix.Stat_t
	if err := unix.Stat(root, &info); err != nil {
		return false, &os.PathError{Op: "stat", Path: root, Err: err}
	}
	return int(info.Gid) == group && info.Mode&groupDir == groupDir, nil
}

// maxTreeDepth is how deep ownTree goes, which has a descriptor open for every level. No path of so many names can be opened at once.
const maxTreeDepth = maxPath / 2

// ownTree gives a directory and all that is in it to a group. Owners stay, modes only gain bits. The tree may be one that containers wrote
// and others write meanwhile: it works by descriptors, changes a link itself and never what it leads to, and leaves alone what is mounted
// in the tree. What vanishes meanwhile is left out. The root's mode is changed last: isOwned tells of a tree that is complete.
func ownTree(ctx context.Context, root string, group int) error {
	dir, err := openPath(root)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := ownEntries(ctx, dir, root, group, 1); err != nil {
		return err
	}
	return ownEntry(dir, root, group)
}

// ownEntries is ownTree for what is in a directory; path is for errors.
func ownEntries(ctx context.Context, dir int, path string, group, depth int) error {
	if depth > maxTreeDepth {
		return fmt.Errorf("the volume has more than %d directories below each other", maxTreeDepth)
	}
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	for {
		names, err := f.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ownNamed(ctx, dir, name, path+"/"+name, group, depth); err != nil {
				return err
			}
		}
	}
}

// ownNamed is ownTree for one entry of a directory.
func ownNamed(ctx context.Context, dir int, name, path string, group, depth int) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	fd, err := openBeneath(dir, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_NO_XDEV)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EXDEV) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if info.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := ownEntries(ctx, fd, path, group, depth+1); err != nil {
			return err
		}
	}
	return ownEntry(fd, path, group)
}

// ownEntry gives one file, directory or link to a group, by a descriptor opened as a place.
func ownEntry(fd int, path string, group int) error {
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if int(info.Gid) != group {
		if err := unix.Fchownat(fd, "", -1, group, unix.AT_EMPTY_PATH); err != nil {
			return &os.PathError{Op: "chown", Path: path, Err: err}
		}
	}
	bits := uint32(groupFile)
	switch info.Mode & unix.S_IFMT {
	case unix.S_IFLNK: // its mode means nothing
		return nil
	case unix.S_IFDIR:
		bits = groupDir
	}
	if int(info.Gid) == group && info.Mode&bits == bits {
		return nil
	}
	// A change of the group takes the setuid and setgid bits of files: the mode is set as it was.
	if err := unix.Fchmodat(unix.AT_FDCWD, fdPath(fd), info.Mode&^unix.S_IFMT|bits, 0); err != nil {
		return &os.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}
