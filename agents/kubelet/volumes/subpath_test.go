package volumes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// mountSub mounts a part of the directory root for the container "c".
func (b *bench) mountSub(root, path string) (string, error) {
	return b.MountSubPath(b.t.Context(), b.pod, SubPath{Volume: "v", Root: root, Container: "c", Index: 3, Path: path})
}

func sameFile(t *testing.T, a, b string) bool {
	t.Helper()
	one, err1 := os.Stat(a)
	two, err2 := os.Stat(b)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return os.SameFile(one, two)
}

func TestSubPathStaysInTheVolume(t *testing.T) {
	b := newBench(t)
	volume, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Chmod(volume, os.ModeSetgid|0o770), os.Mkdir(volume+"/data", 0o755), os.WriteFile(volume+"/file", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"out": outside, "up": "../..", "in": "data", "data/abs": "/etc", "dangling": "none", "to-file": "file"} {
		if err := os.Symlink(target, filepath.Join(volume, link)); err != nil {
			t.Fatal(err)
		}
	}
	want := filepath.Join(b.cfg.Dir, "u1/volume-subpaths/v/c/3")
	for _, tc := range []struct{ sub, want string }{
		{"data", "data"}, {"in", "data"}, {"in/new/deep", "data/new/deep"}, {"to-file", "file"}, {"a/b", "a/b"}, {"a//b/./", "a/b"}, {".", "."},
		{"out", ""}, {"out/x", ""}, {"up", ""}, {"up/x", ""}, {"data/abs", ""}, {"dangling", ""}, {"dangling/x", ""}, {"file/x", ""},
		{"../x", ""}, {"a/../../x", ""}, {"/etc", ""}, {"", ""}, {"a\x00b", ""},
	} {
		got, err := b.mountSub(volume, tc.sub)
		if tc.want == "" {
			if err == nil {
				t.Errorf("subPath %q is mounted at %q, want an error", tc.sub, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("subPath %q: %q, %v; want %q", tc.sub, got, err, want)
		} else if !sameFile(t, got, filepath.Join(volume, tc.want)) {
			t.Errorf("subPath %q is not %q of the volume", tc.sub, tc.want)
		}
	}
	for _, made := range []string{"a", "a/b", "data/new/deep"} {
		if info, err := os.Stat(filepath.Join(volume, made)); err != nil || info.Mode() != os.ModeDir|os.ModeSetgid|0o770 {
			t.Errorf("%s was made with mode %v, %v; want the volume's", made, info.Mode(), err)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("something was made outside the volume: %v", left)
	}
}

// What was opened is what the container gets, whatever is done with the names in the volume.
func TestSubPathStaysWhatItWas(t *testing.T) {
	b := newBench(t)
	volume := t.TempDir()
	if err := errors.Join(os.Mkdir(volume+"/data", 0o755), os.WriteFile(volume+"/data/mine", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	place, err := b.mountSub(volume, "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(volume+"/data", volume+"/old"), os.Symlink("/etc", volume+"/data")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(place + "/mine"); err != nil {
		t.Errorf("the place leads elsewhere: %v", err)
	}
}

// A restarted kubelet knows nothing of the mounts there are: it mounts again in the same place, and unmounts all.
func TestSubPathAfterARestart(t *testing.T) {
	b := newBench(t)
	volume := t.TempDir()
	for range 3 {
		b.Volumes = New(b.cfg)
		if _, err := b.mountSub(volume, "data"); err != nil {
			t.Fatal(err)
		}
	}
	if points := mountPoints(t, b.cfg.Dir); len(points) != 2 { // the places' own file system, and the one place
		t.Errorf("mounted: %q", points)
	}
	b.Volumes = New(b.cfg)
	b.remove()
	if points := mountPoints(t, b.cfg.Dir); len(points) != 0 {
		t.Errorf("still mounted: %q", points)
	}
	if _, err := os.Stat(volume + "/data"); err != nil {
		t.Errorf("the volume's own directory went: %v", err)
	}
}

func mountPoints(t *testing.T, dir string) []string {
	t.Helper()
	fd, err := openPath(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	points, err := mountsBelow(fd, filepath.Base(dir))
	if err != nil {
		t.Fatal(err)
	}
	return points
}

// CVE-2021-25741: a container exchanges a directory of the volume with a link out of it while others mount it.
func TestSubPathRacesWithExchanges(t *testing.T) {
	const exchanges, mounts = 2000, 300
	b := newBench(t)
	volume, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Mkdir(volume+"/dir", 0o755), os.Mkdir(outside+"/sub", 0o755), os.WriteFile(outside+"/canary", []byte("secret"), 0o644),
		os.WriteFile(outside+"/sub/canary", []byte("secret"), 0o644), os.Symlink(outside, volume+"/link")); err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, volume+"/dir", unix.AT_FDCWD, volume+"/link", unix.RENAME_EXCHANGE); err != nil {
				t.Error(err)
				return
			}
			done.Add(1)
		}
	})
	mounted, refused := 0, 0
	for i := 0; !t.Failed() && (mounted < mounts || done.Load() < exchanges); i++ {
		place, err := b.mountSub(volume, []string{"dir", "dir/sub", "dir/new"}[i%3])
		if err != nil {
			refused++
			continue
		}
		mounted++
		if _, err := os.ReadFile(place + "/canary"); err == nil {
			t.Errorf("a file outside the volume can be read after %d mounts", mounted)
		}
	}
	close(end)
	wg.Wait()
	if left, _ := os.ReadDir(outside); len(left) != 2 {
		t.Errorf("something was made outside the volume: %v", left)
	}
	t.Logf("%d exchanges, %d mounts, %d refused", done.Load(), mounted, refused)
}

// Programs that do not see the kubelet's mounts must not take the empty directory below for the volume.
func TestSubPathHasNoPlaceWithoutItsMount(t *testing.T) {
	b := newBench(t)
	place, err := b.mountSub(t.TempDir(), "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Unmount(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(place); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(place, b.cfg.Dir) {
		t.Errorf("without the mounts %s is there: %v", place, err)
	}
}
