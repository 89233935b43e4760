package volumes

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// detach unmounts what is mounted at path, if anything is, with all that is mounted below it. Whatever else uses the
// same file systems keeps them.
func detach(path string) error {
	for done := true; done; { // mounts may be on top of each other
		fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return &os.PathError{Op: "open", Path: path, Err: err}
		}
		done, err = detachAt(fd)
		_ = unix.Close(fd)
		if err != nil {
			return &os.PathError{Op: "unmount", Path: path, Err: err}
		}
	}
	return nil
}

// detachAt is detach by a descriptor; done is false where it is not that of a mount's root.
func detachAt(fd int) (done bool, err error) {
	// In a tree of shared mounts an unmount of what is below would reach the places that the tree was bound from.
	err = unix.Mount("", fdPath(fd), "", unix.MS_REC|unix.MS_PRIVATE, "")
	if errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	if err == nil {
		err = unix.Unmount(fdPath(fd), unix.MNT_DETACH)
	}
	return err == nil, err
}

// detachBelow unmounts everything that is mounted at name or below it, a path below the directory dir.
func detachBelow(dir, name string) error {
	fd, err := openPath(dir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for last := -1; ; {
		points, err := mountsBelow(fd, name)
		if err != nil || len(points) == 0 {
			return err
		}
		if len(points) == last {
			return fmt.Errorf("unmounting: %s %w", points[0], ErrStillMounted)
		}
		last = len(points)
		for _, p := range outermost(points) {
			if err := detachBeneath(fd, p); err != nil {
				return fmt.Errorf("unmounting %s: %w", p, err)
			}
		}
	}
}

// ErrStillMounted tells that something is mounted below a directory that was to be removed.
var ErrStillMounted = errors.New("is still mounted")

// checkNotMounted is ErrStillMounted where something is mounted at name or below it, a path below the directory dir.
func checkNotMounted(dir, name string) error {
	fd, err := openPath(dir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	points, err := mountsBelow(fd, name)
	if err == nil && len(points) > 0 {
		err = fmt.Errorf("%s %w", points[0], ErrStillMounted)
	}
	return err
}

// detachBeneath unmounts a mount point below a directory. Its path may lead through directories of a container: no link is
// followed.
func detachBeneath(dir int, name string) error {
	fd, err := openBeneath(dir, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_NO_SYMLINKS)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = detachAt(fd)
	return err
}

// outermost are the mount points, sorted, that are below no other; mounts on top of each other are one.
func outermost(points []string) []string {
	var all []string
	for _, p := range points {
		if n := len(all); n == 0 || p != all[n-1] && !strings.HasPrefix(p, all[n-1]+"/") {
			all = append(all, p)
		}
	}
	return all
}

// mountsBelow lists the mount points at or below name, sorted segment by segment; name and they are paths below the directory dir.
func mountsBelow(dir int, name string) ([]string, error) {
	root, err := os.Readlink(fdPath(dir)) // as the kernel names it: without links
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var points []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// 36 35 98:0 /source /mount\040point rw,noatime shared:1 - ext4 /dev/root rw
		fields := strings.SplitN(lines.Text(), " ", 6)
		if len(fields) < 6 {
			return nil, fmt.Errorf("reading mountinfo: %q", lines.Text())
		}
		p, ok := strings.CutPrefix(unescape(fields[4]), root+"/")
		if ok && (p == name || strings.HasPrefix(p, name+"/")) {
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) })
	return points, lines.Err()
}

// unescape reads a path of mountinfo, where a space is \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
