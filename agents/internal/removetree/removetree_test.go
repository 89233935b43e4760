package removetree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestAllRemovesATreeAndFollowsNoLink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, outside+"/canary")
	write(t, dir+"/tree/a/b/file")
	write(t, dir+"/beside")
	for i := range 3 * batch {
		write(t, filepath.Join(dir, "tree/many", strings.Repeat("n", i%200+1)+string(rune('a'+i/200))))
	}
	if err := errors.Join(os.Symlink(outside, dir+"/tree/link"), os.Symlink(outside, dir+"/only-a-link"), os.Mkdir(dir+"/tree/closed", 0)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tree", "only-a-link", "absent", "absent/too"} {
		if err := All(filepath.Join(dir, name)); err != nil {
			t.Errorf("removing %s: %v", name, err)
		}
	}
	if exists(dir+"/tree") || exists(dir+"/only-a-link") || !exists(dir+"/beside") || !exists(outside+"/canary") {
		t.Errorf("tree %v, link %v are to be gone; beside %v, canary %v to stay", exists(dir+"/tree"), exists(dir+"/only-a-link"), exists(dir+"/beside"), exists(outside+"/canary"))
	}
}

// TestAllStopsAtMounts checks that what is mounted in the tree stays, also from the same file system, and all else is removed.
func TestAllStopsAtMounts(t *testing.T) {
	dir, foreign := t.TempDir(), t.TempDir()
	write(t, foreign+"/canary")
	write(t, foreign+"/sub/canary")
	write(t, dir+"/tree/a/mountpoint/under")
	write(t, dir+"/tree/file-mount")
	write(t, dir+"/tree/z/file")
	for at, source := range map[string]string{"a/mountpoint": foreign, "file-mount": foreign + "/canary"} {
		at = filepath.Join(dir, "tree", at)
		if err := unix.Mount(source, at, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) })
	}
	if err := All(dir + "/tree"); err == nil {
		t.Error("a tree with mounts was removed")
	}
	if !exists(foreign+"/canary") || !exists(foreign+"/sub/canary") {
		t.Fatal("what is mounted in the tree was removed")
	}
	if exists(dir + "/tree/z") {
		t.Error("what is beside the mounts was not removed")
	}
	for _, at := range []string{"a/mountpoint", "file-mount"} {
		if err := unix.Unmount(filepath.Join(dir, "tree", at), unix.UMOUNT_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
	if err := All(dir + "/tree"); err != nil || exists(dir+"/tree") {
		t.Errorf("without the mounts: %v", err)
	}
}

// TestAllNeedsFewDescriptorsForADeepTree removes a tree whose path is longer than PATH_MAX and which has more levels than the process may
// open files. A container can create one.
func TestAllNeedsFewDescriptorsForADeepTree(t *testing.T) {
	const levels = 3000
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range levels {
		if err := unix.Mkdirat(fd, "deep", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, "deep", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
		fd = next
	}
	_ = unix.Close(fd)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 256, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	err = All(dir + "/deep")
	if back := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil || back != nil || exists(dir+"/deep") {
		t.Errorf("removing %d levels: %v, %v", levels, err, back)
	}
}
