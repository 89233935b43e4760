package volumes

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gantry/agents/internal/removetree"
)

// dataLink leads to the directory of the present content. The files of a volume are links through it:
//
//	..2026_11_21_13_00_00.123/a    ..data -> ..2026_11_21_13_00_00.123    a -> ..data/a
//
// so one rename of ..data changes all files at once. These are the names that Kubernetes uses and programs watch for.
const dataLink = "..data"

// writeAll makes dir hold exactly files, owned by group (-1: the kubelet's). Equal content is left alone.
func writeAll(dir string, files map[string]file, group int) error {
	if same(filepath.Join(dir, dataLink), files) {
		return link(dir, files) // a crash may have come between the swap and the links
	}
	fresh, err := os.MkdirTemp(dir, "..fresh_")
	if err != nil {
		return err
	}
	if err := writeInto(fresh, files, group); err != nil {
		return errors.Join(err, removetree.All(fresh))
	}
	if err := replaceLink(filepath.Join(dir, dataLink), filepath.Base(fresh)); err != nil {
		return err
	}
	return errors.Join(link(dir, files), removeOld(dir, filepath.Base(fresh), files))
}

func writeInto(dir string, files map[string]file, group int) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			return err
		}
		if err := os.Chmod(path, groupMode(f.mode, group)); err != nil { // past the umask
			return err
		}
		if group >= 0 {
			if err := os.Lchown(path, -1, group); err != nil {
				return err
			}
		}
	}
	return nil
}

// groupMode lets a volume's group read what its owner may.
func groupMode(mode fs.FileMode, group int) fs.FileMode {
	if group >= 0 && mode&0o400 != 0 {
		mode |= 0o040
	}
	return mode
}

// same tells whether the present content is files.
func same(data string, files map[string]file) bool {
	seen := 0
	root, err := filepath.EvalSymlinks(data)
	if err != nil {
		return false
	}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		want, ok := files[name]
		have, err := os.ReadFile(path)
		if err != nil || !ok || !bytes.Equal(have, want.data) {
			return fmt.Errorf("%s differs", name)
		}
		seen++
		return nil
	})
	return err == nil && seen == len(files)
}

// link makes the links by which containers see files.
func link(dir string, files map[string]file) error {
	for _, name := range tops(files) {
		path, target := filepath.Join(dir, name), filepath.Join(dataLink, name)
		if have, err := os.Readlink(path); err == nil && have == target {
			continue
		}
		if err := replaceLink(path, target); err != nil {
			return err
		}
	}
	return nil
}

// tops are the first elements of the files' paths.
func tops(files map[string]file) []string {
	var names []string
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		names = append(names, top)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func replaceLink(path, target string) error {
	fresh := filepath.Join(filepath.Dir(path), "..link_tmp") // no file of a volume can have that name
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// removeOld removes links and contents of before.
func removeOld(dir, current string, files map[string]file) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	keep := append(tops(files), dataLink, current)
	var errs []error
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			errs = append(errs, removetree.All(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
