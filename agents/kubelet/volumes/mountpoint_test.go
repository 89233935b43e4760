package volumes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// mountAt mounts at a path, which it makes, until the test's end.
func mountAt(t *testing.T, source, at, kind string, flags uintptr) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(at, 0o755), unix.Mount(source, at, kind, flags, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) })
}

// podWithForeignMounts is a pod with foreign directories mounted below its own, which hold canaries.
func podWithForeignMounts(t *testing.T) (b *bench, canaries []string) {
	b = newBench(t, corev1.Volume{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	disk := b.mount("disk")
	foreign, shared := t.TempDir(), t.TempDir()
	mountAt(t, "tmpfs", shared, "tmpfs", 0)
	mountAt(t, "", shared, "", unix.MS_SHARED)
	mountAt(t, "tmpfs", shared+"/inner", "tmpfs", 0)
	canaries = []string{foreign + "/canary", foreign + "/deep/canary", shared + "/canary", shared + "/inner/canary"}
	for _, c := range canaries {
		if err := errors.Join(os.MkdirAll(filepath.Dir(c), 0o755), os.WriteFile(c, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	pod := filepath.Join(b.cfg.Dir, "u1")
	mountAt(t, foreign, pod+"/volumes/kubernetes.io~local-volume/pv", "", unix.MS_BIND)
	mountAt(t, foreign, pod+"/volumes/kubernetes.io~local-volume/pv", "", unix.MS_BIND) // on top
	mountAt(t, foreign, disk+"/a name\twith \\ blanks", "", unix.MS_BIND)
	mountAt(t, shared, disk+"/tree", "", unix.MS_BIND|unix.MS_REC)
	if err := os.WriteFile(disk+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mountAt(t, foreign, disk+"/../../../containers", "", unix.MS_BIND)
	return b, canaries
}

func checkThere(t *testing.T, files []string) {
	t.Helper()
	for _, f := range files {
		if _, err := os.Lstat(f); err != nil {
			t.Errorf("it is gone: %v", err)
		}
	}
}

func TestRemovingAPodUnmountsAndKeepsWhatIsMounted(t *testing.T) {
	b, canaries := podWithForeignMounts(t)
	b.remove()
	checkThere(t, canaries)
	if _, err := os.Lstat(filepath.Join(b.cfg.Dir, "u1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pod's directory is left: %v", err)
	}
	if points := mountPoints(t, b.cfg.Dir); len(points) != 0 {
		t.Errorf("still mounted: %q", points)
	}
}

func TestRemoveRefusesWhileSomethingIsMounted(t *testing.T) {
	b, canaries := podWithForeignMounts(t)
	err := b.Remove(t.Context(), "u1")
	if err == nil || !strings.Contains(err.Error(), "is still mounted") {
		t.Errorf("error %v, want one that something is still mounted", err)
	}
	checkThere(t, append(canaries, filepath.Join(b.cfg.Dir, "u1/volumes/kubernetes.io~empty-dir/disk/file")))
}

// The path of a mount may lead through a directory that a container exchanges for a link to somewhere else.
func TestUnmountFollowsNoLink(t *testing.T) {
	b := newBench(t, corev1.Volume{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	disk, outside := b.mount("disk"), t.TempDir()
	mountAt(t, "tmpfs", outside+"/victim", "tmpfs", 0)
	if err := os.Symlink(outside, disk+"/a"); err != nil {
		t.Fatal(err)
	}
	fd, err := openPath(b.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := detachBeneath(fd, "u1/volumes/kubernetes.io~empty-dir/disk/a/victim"); err == nil {
		t.Error("a link was followed")
	}
	if points := mountPoints(t, outside); len(points) != 1 {
		t.Errorf("mounted outside: %q", points)
	}
}

func TestOutermost(t *testing.T) {
	got := outermost([]string{"a", "a", "a/b", "a/b/c", "a b", "ab", "d/e", "d/e f", "d/g"})
	if diff := cmp.Diff([]string{"a", "a b", "ab", "d/e", "d/e f", "d/g"}, got); diff != "" {
		t.Error(diff)
	}
}
