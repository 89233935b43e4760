package volumes

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// TestImageFiles mounts the layers of an image: the upper hides what it replaces and removes.
func TestImageFiles(t *testing.T) {
	b := newBench(t, corev1.Volume{Name: "files", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "image:1"}}})
	upper, lower := t.TempDir(), t.TempDir()
	if err := errors.Join(
		os.WriteFile(lower+"/kept", []byte("lower"), 0o755), os.WriteFile(lower+"/replaced", []byte("lower"), 0o644), os.WriteFile(lower+"/removed", nil, 0o644),
		os.WriteFile(upper+"/replaced", []byte("upper"), 0o644), unix.Mknod(upper+"/removed", unix.S_IFCHR, 0),
	); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		layers []string
		want   map[string]string
	}{
		{[]string{upper, lower}, map[string]string{"kept": "lower", "replaced": "upper"}},
		{[]string{lower}, map[string]string{"kept": "lower", "replaced": "lower", "removed": ""}},
	} {
		place := b.mount("files")
		for range 2 { // what is mounted stays
			if err := b.MountImage(t.Context(), b.pod, "files", c.layers); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]string{}
		entries, err := os.ReadDir(place)
		for _, e := range entries {
			text, readErr := os.ReadFile(filepath.Join(place, e.Name()))
			got[e.Name()], err = string(text), errors.Join(err, readErr)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		if err := os.WriteFile(place+"/new", nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("writing: %v", err)
		}
		var s unix.Statfs_t
		if err := unix.Statfs(place, &s); err != nil || s.Flags&unix.ST_NOEXEC == 0 {
			t.Errorf("its programs can be executed: %x %v", s.Flags, err)
		}
		b.remove()
		checkThere(t, []string{lower + "/kept", upper + "/replaced"})
	}
	b.mount("files")
	if err := b.MountImage(t.Context(), b.pod, "files", nil); err == nil {
		t.Error("an image whose files are unknown was mounted")
	}
	if err := b.MountImage(t.Context(), b.pod, "files", []string{filepath.Join(lower, "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a layer that is gone: %v", err)
	}
}
