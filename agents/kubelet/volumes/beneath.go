package volumes

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// beneathTries is how often a path is resolved again while its directories are being moved.
const beneathTries = 1000

// openBeneath opens a path below a directory in one step of the kernel, which takes no link that leads out. resolve adds to
// RESOLVE_BENEATH.
func openBeneath(dir int, name string, flags int, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | resolve}
	for range beneathTries {
		fd, err := unix.Openat2(dir, name, &how)
		if err == nil || !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}

// openOrMake opens a local path below a directory, and makes the directories that are absent with mode. Links are followed where
// they stay beneath.
func openOrMake(root int, name string, mode uint32) (int, error) {
	segments := strings.Split(path.Clean(name), "/")
	fd, err := -1, error(unix.ENOENT)
	n := len(segments)
	for ; errors.Is(err, unix.ENOENT) && n > 0; n-- {
		fd, err = openBeneath(root, path.Join(segments[:n]...), unix.O_PATH, 0)
		if err == nil {
			break
		}
	}
	if errors.Is(err, unix.ENOENT) {
		fd, err = openBeneath(root, ".", unix.O_PATH, 0)
	}
	if err != nil {
		return -1, err
	}
	for _, segment := range segments[n:] {
		next, err := mkdirBeneath(fd, segment, mode)
		_ = unix.Close(fd)
		if err != nil {
			return -1, fmt.Errorf("%w: %w", ErrNotMade, err)
		}
		fd = next
	}
	return fd, nil
}

// mkdirBeneath makes a directory and opens it; one that exists by then is as good, a link is not.
func mkdirBeneath(parent int, name string, mode uint32) (int, error) {
	err := unix.Mkdirat(parent, name, mode&^unix.S_IFMT)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	made := err == nil
	fd, err := openBeneath(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	if err != nil || !made {
		return fd, err
	}
	if err := unix.Fchmod(fd, mode&^unix.S_IFMT); err != nil { // past the umask
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// ErrNotMade tells that a directory below a volume could not be made.
var ErrNotMade = errors.New("making a directory")

// OpenFile opens a file below Dir for reading, by its full path. No link is followed, a pipe is not waited for.
func (v *Volumes) OpenFile(file string) (*os.File, error) {
	name, ok := strings.CutPrefix(file, v.cfg.Dir+"/")
	if !ok {
		return nil, fmt.Errorf("%s is not below %s", file, v.cfg.Dir)
	}
	dir, err := openPath(v.cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	fd, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_NONBLOCK, unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: file, Err: err}
	}
	return os.NewFile(uintptr(fd), file), nil
}

// openPath opens a directory of the node's as a place, by a path that is trusted.
func openPath(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, nil
}

// fdPath is how system calls that take only paths are given a descriptor.
func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
