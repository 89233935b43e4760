package volumes

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

const aGroup = 4242

// groupAndMode are those of a path itself.
func groupAndMode(t *testing.T, path string) (group int, mode uint32) {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Lstat(path, &s); err != nil {
		t.Fatal(err)
	}
	return int(s.Gid), s.Mode &^ unix.S_IFMT
}

func TestOwnTree(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(outside, nil, 0o600),
		os.MkdirAll(at("a/b"), 0o700), os.WriteFile(at("a/b/file"), nil, 0o400), os.WriteFile(at("tool"), nil, 0o755), os.Chmod(at("tool"), 0o755|fs.ModeSetuid),
		os.Symlink(outside, at("file-link")), os.Symlink(filepath.Dir(outside), at("a/dir-link")), unix.Mkfifo(at("fifo"), 0o600),
		os.Mkdir(at("mount"), 0o700), unix.Mount("tmpfs", at("mount"), "tmpfs", 0, ""),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at("mount"), unix.MNT_DETACH) })
	if err := ownTree(t.Context(), dir, aGroup); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{
		"": 0o2775, "a": 0o2770, "a/b": 0o2770, "a/b/file": 0o660, "tool": 0o4775, "fifo": 0o660, "file-link": 0o777, "a/dir-link": 0o777,
	} {
		if group, mode := groupAndMode(t, at(name)); group != aGroup || mode != want {
			t.Errorf("%q is group %d's with mode %o, want %d's with %o", name, group, mode, aGroup, want)
		}
	}
	for _, path := range []string{outside, filepath.Dir(outside), at("mount")} {
		if group, _ := groupAndMode(t, path); group == aGroup {
			t.Errorf("%s, which is not in the tree, was given to the group", path)
		}
	}
}

// TestOwnTreeWhileItIsChanged: containers that exchange directories for links out of the tree meanwhile gain nothing.
func TestOwnTreeWhileItIsChanged(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "f")
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(secret, nil, 0o600), os.Mkdir(at("d"), 0o700), os.WriteFile(at("d/f"), nil, 0o600), os.Symlink(outside, at("link"))); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	swapped := make(chan struct{})
	go func() {
		defer close(swapped)
		for ctx.Err() == nil {
			_ = unix.Renameat2(unix.AT_FDCWD, at("d"), unix.AT_FDCWD, at("link"), unix.RENAME_EXCHANGE)
		}
	}()
	for group := range 300 {
		if err := ownTree(t.Context(), dir, aGroup+group); err != nil {
			t.Error(err)
		}
	}
	end()
	<-swapped
	if group, mode := groupAndMode(t, secret); group >= aGroup || mode != 0o600 {
		t.Errorf("what is outside is group %d's with mode %o", group, mode)
	}
}

// TestOwnTreeHasAnEnd: a tree that no path reaches the bottom of is an error, not the end of the kubelet's descriptors.
func TestOwnTreeHasAnEnd(t *testing.T) {
	dir := t.TempDir()
	for range 3 { // by renames, as no path is long enough
		top := filepath.Join(t.TempDir(), "d")
		if err := os.MkdirAll(top+strings.Repeat("/d", maxTreeDepth/2), 0o755); err != nil {
			t.Fatal(err)
		}
		deepest := top + strings.Repeat("/d", maxTreeDepth/2)
		if err := os.Rename(filepath.Join(dir, "d"), filepath.Join(deepest, "d")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Rename(top, filepath.Join(dir, "d")); err != nil {
			t.Fatal(err)
		}
	}
	if err := ownTree(t.Context(), dir, aGroup); err == nil || !strings.Contains(err.Error(), "directories below each other") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ownTree(ctx, dir, aGroup); !errors.Is(err, context.Canceled) {
		t.Errorf("a walk that nobody waits for ends with %v", err)
	}
}

// TestFSGroupOfAClaim: the volume is the group's, again on every mount unless only its root counts, and never while others have it.
func TestFSGroupOfAClaim(t *testing.T) {
	b, _, pv := newClaimBench(t)
	file := filepath.Join(pv.Spec.Local.Path, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr(int64(aGroup)), FSGroupChangePolicy: ptr(corev1.FSGroupChangeOnRootMismatch)}
	ofFile := func() int {
		group, _ := groupAndMode(t, file)
		return group
	}
	b.mount("v")
	if ofFile() != aGroup {
		t.Error("the root did not match and the file was left")
	}
	again := func(group int) {
		t.Helper()
		b.remove()
		if err := os.Lchown(file, -1, group); err != nil {
			t.Fatal(err)
		}
		b.mount("v")
	}
	if again(1); ofFile() != 1 {
		t.Error("the root matched and the file was changed")
	}
	b.pod.Spec.SecurityContext.FSGroupChangePolicy = nil
	if again(1); ofFile() != aGroup {
		t.Error("the file was left with the policy Always")
	}
	second := b.pod.DeepCopy()
	second.UID, second.Spec.SecurityContext.FSGroup = "u2", ptr(int64(7))
	if _, err := b.Mount(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if want := "AlreadyMountedVolume: The requested fsGroup is 7, but the volume pv has GID 4242. The volume may not be shareable."; ofFile() != aGroup || strings.Join(b.warned, "") != want {
		t.Errorf("the file is group %d's, the pod was told %q", ofFile(), b.warned)
	}
	if err := errors.Join(b.Unmount(t.Context(), "u2"), b.Remove(t.Context(), "u2")); err != nil {
		t.Error(err)
	}
}
