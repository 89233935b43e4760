package localvolumes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const aVolume = "pvc-01234567-89ab-cdef-0123-456789abcdef"

// newDirectories are directories of a test; at is a path below them.
func newDirectories(t *testing.T) (d *directories, at func(name string) string) {
	root := t.TempDir()
	d = &directories{dir: filepath.Join(root, "volumes"), records: filepath.Join(root, "records")}
	return d, func(name string) string { return filepath.Join(d.dir, name) }
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestDirectoryIsMadeOnce(t *testing.T) {
	d, at := newDirectories(t)
	for range 2 {
		if err := d.make(aVolume, record{}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(at(aVolume))
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("the volume is %v, %v; want mode 0777", info, err)
	}
	if parent, err := os.Stat(d.dir); err != nil || parent.Mode().Perm() != 0o700 {
		t.Errorf("all volumes are in %v, %v; want mode 0700", parent, err)
	}
	if err := os.Remove(at(aVolume)); err != nil {
		t.Fatal(err)
	}
	if err := d.make(aVolume, record{}); err == nil || !strings.Contains(err.Error(), "does not exist, though it was made before") {
		t.Errorf("a volume that is lost is made again: %v", err)
	}
}

// TestMakingGoesOnAfterACrash, whatever was done before it.
func TestMakingGoesOnAfterACrash(t *testing.T) {
	for name, crashed := range map[string]func(d *directories) error{
		"new directory": func(d *directories) error { return os.MkdirAll(filepath.Join(d.dir, newPrefix+aVolume), 0o700) },
		"no record":     func(d *directories) error { return errors.Join(os.MkdirAll(d.dir, 0o700), d.create(aVolume)) },
	} {
		t.Run(name, func(t *testing.T) {
			d, at := newDirectories(t)
			if err := crashed(d); err != nil {
				t.Fatal(err)
			}
			if err := d.make(aVolume, record{}); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(at(aVolume)); err != nil || info.Mode().Perm() != 0o777 || !exists(d.recordFile(aVolume)) {
				t.Errorf("the volume is %v, %v, record %v", info, err, exists(d.recordFile(aVolume)))
			}
		})
	}
}

// TestRemovalGoesOnAfterACrash, by another call or by the next kubelet's start. Nothing that links lead to is removed.
func TestRemovalGoesOnAfterACrash(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "kept")
	fill := func(dir string) error {
		return errors.Join(os.MkdirAll(dir+"/sub", 0o755), os.WriteFile(dir+"/sub/data", nil, 0o600), os.Symlink(filepath.Dir(outside), dir+"/link"))
	}
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, crashed := range map[string]func(path, trash string) error{
		"nothing done":              func(path, _ string) error { return fill(path) },
		"renamed":                   func(_, trash string) error { return fill(trash) },
		"renamed, and made again":   func(path, trash string) error { return errors.Join(fill(trash), fill(path)) },
		"removed, and not recorded": func(path, _ string) error { return os.MkdirAll(filepath.Dir(path), 0o700) },
		"never made":                func(_, _ string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			d, at := newDirectories(t)
			if err := errors.Join(crashed(at(aVolume), at(deletedPrefix+aVolume)), d.writeRecord(aVolume, record{})); err != nil {
				t.Fatal(err)
			}
			if err := d.remove(aVolume); err != nil {
				t.Fatal(err)
			}
			left, err := os.ReadDir(d.dir)
			if len(left) > 0 || exists(d.recordFile(aVolume)) || !exists(outside) {
				t.Errorf("left: %v, %v; record %v; outside %v", left, err, exists(d.recordFile(aVolume)), exists(outside))
			}
		})
	}
}

// TestLeftovers: what only crashes leave is removed at the start, and nothing else.
func TestLeftovers(t *testing.T) {
	d, at := newDirectories(t)
	kept := []string{aVolume, "lost+found", deletedPrefix + "backup", newPrefix + "x"}
	gone := []string{deletedPrefix + aVolume, newPrefix + aVolume}
	for _, name := range append(gone, kept...) {
		if err := os.MkdirAll(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.removeLeftovers(); err != nil {
		t.Fatal(err)
	}
	for _, name := range kept {
		if !exists(at(name)) {
			t.Errorf("%s was removed", name)
		}
	}
	for _, name := range gone {
		if exists(at(name)) {
			t.Errorf("%s is left", name)
		}
	}
}

// TestALinkIsNoVolume: what an administrator put in a volume's place is neither used nor removed.
func TestALinkIsNoVolume(t *testing.T) {
	d, at := newDirectories(t)
	if err := errors.Join(os.MkdirAll(d.dir, 0o700), os.Symlink(t.TempDir(), at(aVolume))); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"made": d.make(aVolume, record{}), "removed": d.remove(aVolume)} {
		if err == nil || !strings.Contains(err.Error(), "is not a directory") {
			t.Errorf("a link is %s: %v", what, err)
		}
	}
	if !exists(at(aVolume)) {
		t.Error("the link was removed")
	}
}
