package volumes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// hostile are names that an object put into etcd by hand may have.
var hostile = []string{"", ".", "..", "../x", "../../../tmp/x", "/etc", "a/b", "a/../..", "x/", "nul\x00", strings.Repeat("n", 256)}

// Nothing is made, mounted or removed for names that are no names, wherever an object has them.
func TestHostileNamesAreRefused(t *testing.T) {
	b := newBench(t)
	b.cfg.Dir = filepath.Join(t.TempDir(), "pods")
	if err := os.Mkdir(b.cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	volume := t.TempDir()
	emptyDir := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	secret := corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none", Optional: ptr(true)}}
	for _, name := range hostile {
		pod := func(uid, volume string, source corev1.VolumeSource) *corev1.Pod {
			p := b.pod.DeepCopy()
			p.UID = types.UID(uid)
			p.Spec.Volumes = []corev1.Volume{{Name: volume, VolumeSource: source}}
			return p
		}
		sub := func(uid, name, container string) error {
			_, err := b.MountSubPath(t.Context(), pod(uid, "v", emptyDir), SubPath{Volume: name, Root: volume, Container: container, Path: "x"})
			return err
		}
		mount := func(p *corev1.Pod) error {
			_, err := b.Mount(t.Context(), p)
			return err
		}
		for what, err := range map[string]error{
			"the uid of a mount":          mount(pod(name, "v", emptyDir)),
			"the uid of a refresh":        b.Refresh(t.Context(), pod(name, "v", secret)),
			"the uid of an unmount":       b.Unmount(t.Context(), name),
			"the uid of a removal":        b.Remove(t.Context(), name),
			"the uid of a subPath":        sub(name, "v", "c"),
			"the name of an emptyDir":     mount(pod("u1", name, emptyDir)),
			"the name of a secret volume": mount(pod("u1", name, secret)),
			"the volume of a subPath":     sub("u1", name, "c"),
			"the container of a subPath":  sub("u1", "v", name),
		} {
			if err == nil {
				t.Errorf("%q as %s was taken", name, what)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Dir(b.cfg.Dir))
	if err != nil || len(entries) != 1 {
		t.Errorf("made beside the pods' directory: %v, %v", entries, err)
	}
	if entries, _ := os.ReadDir(b.cfg.Dir); len(entries) != 0 {
		t.Errorf("made for a pod: %v", entries)
	}
	if entries, _ := os.ReadDir(volume); len(entries) != 0 {
		t.Errorf("made in the volume: %v", entries)
	}
}

// Keys and paths of files stay in the volume, and keep off the names of the swap.
func TestHostileFileNamesAreRefused(t *testing.T) {
	for _, name := range append([]string{"..data", "..x", "a/../b", "a/./../../b", "./../x", "a//../../b", strings.Repeat("a/", 2100) + "b"}, hostile...) {
		if name == "a/b" || name == "x/" {
			continue // a file in a directory of the volume
		}
		c := collector{files: map[string]file{}}
		if err := c.add(name, nil, nil); err == nil || len(c.files) != 0 {
			t.Errorf("%q was taken", name)
		}
	}
	c := collector{files: map[string]file{}}
	for _, name := range []string{"a", "b/c", "d/", "./e", "f..g", "h/..i"} {
		if err := c.add(name, nil, nil); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
