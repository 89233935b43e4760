// Package removetree removes directories that containers may have written to.
//
// Unlike os.RemoveAll it stays on one mount: it does not remove what is mounted in the tree, and returns an error. It works by
// descriptors, follows no link, and opens few descriptors however deep the tree is.
package removetree

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxDepth is how many directories are open at once. Deeper ones are moved into the outermost one first.
const maxDepth = 64

// All removes path, a file or a directory with everything in it. An absent path is no error. It removes all that it can
// and returns the first error.
func All(path string) error {
	parent, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	defer unix.Close(parent)
	return (&removal{top: -1}).remove(parent, filepath.Base(path), path, 0)
}

// removal is one call of All.
type removal struct {
	top   int // the outermost directory, -1 until it is open
	moved int // directories moved there
}

// remove removes one entry of a directory; path is for errors.
func (r *removal) remove(dir int, name, path string, depth int) error {
	err := unix.Unlinkat(dir, name, 0)
	switch {
	case err == nil || errors.Is(err, unix.ENOENT):
		return nil
	case !errors.Is(err, unix.EISDIR):
		return &os.PathError{Op: "remove", Path: path, Err: err}
	case depth > maxDepth:
		return r.moveUp(dir, name, path)
	}
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS,
	})
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("removing %s: something is mounted there", path)
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if r.top < 0 {
		r.top = fd
	}
	if err := r.empty(f, path, depth); err != nil {
		return err
	}
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// batch is how many names of a directory are read at a time.
const batch = 1024

// empty removes the entries of a directory, in passes until there is none: a file system may skip entries while others are removed, and
// moveUp may add some.
func (r *removal) empty(f *os.File, path string, depth int) error {
	for {
		var first error
		seen := 0
		for {
			names, err := f.Readdirnames(batch)
			for _, name := range names {
				if err := r.remove(int(f.Fd()), name, path+"/"+name, depth+1); err != nil && first == nil {
					first = err
				}
			}
			seen += len(names)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		if first != nil || seen == 0 {
			return first
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}

// moveUp moves a directory into the outermost one, where a later pass removes it.
func (r *removal) moveUp(dir int, name, path string) error {
	for {
		r.moved++
		err := unix.Renameat2(dir, name, r.top, fmt.Sprintf(".moved-%d", r.moved), unix.RENAME_NOREPLACE)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return &os.PathError{Op: "move", Path: path, Err: err}
		}
	}
}
