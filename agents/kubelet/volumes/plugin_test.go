package volumes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// localPlugin is a small volume source: a file and a row are all it takes. It mounts a directory of the host.
func localPlugin(source string, unmountErr *error) Plugin {
	return Plugin{
		Name: "example.com/local", Is: func(vol *corev1.Volume) bool { return vol.CSI != nil },
		Mount: func(_ context.Context, r Request) (Mounted, error) {
			dir, err := r.MakeDir()
			if err != nil {
				return Mounted{}, err
			}
			fd, err := openPath(source)
			if err != nil {
				return Mounted{}, err
			}
			defer os.NewFile(uintptr(fd), source).Close()
			return Mounted{Path: dir}, bind(fd, dir)
		},
		Unmount: func(_ context.Context, dir string) error {
			if *unmountErr != nil {
				return *unmountErr
			}
			return detach(dir)
		},
		Metrics: func(string) (Metrics, error) { return Metrics{Capacity: 3, Used: 2, Available: 1}, nil },
	}
}

func TestPluginIsARow(t *testing.T) {
	b := newBench(t,
		corev1.Volume{Name: "pv", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{}}},
		corev1.Volume{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	if _, err := b.Mount(t.Context(), b.pod); err == nil || !strings.Contains(err.Error(), "volume type is not supported by this node") {
		t.Errorf("without its plug-in: %v", err)
	}
	foreign := t.TempDir()
	canary := foreign + "/canary"
	if err := os.WriteFile(canary, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	var unmountErr error
	b.plugins = append(b.plugins, localPlugin(foreign, &unmountErr))
	pv, disk := b.mount("pv"), b.mount("disk")
	checkThere(t, []string{pv + "/canary"})
	if err := os.WriteFile(disk+"/file", make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := b.Metrics("u1")
	if err != nil || m["pv"] != (Metrics{Capacity: 3, Used: 2, Available: 1}) || m["disk"].Used < 4096 || m["disk"].Capacity == 0 || m["disk"].InodesUsed == 0 {
		t.Errorf("metrics %+v, %v", m, err)
	}

	// What its plug-in cannot unmount stays mounted, and the pod's directory stays with it.
	unmountErr = errors.New("it is busy")
	if err := b.Unmount(t.Context(), "u1"); !errors.Is(err, unmountErr) || !strings.Contains(err.Error(), `volume "pv"`) {
		t.Errorf("unmounting: %v", err)
	}
	if err := b.Remove(t.Context(), "u1"); !errors.Is(err, ErrStillMounted) {
		t.Errorf("removing: %v, want %v", err, ErrStillMounted)
	}
	checkThere(t, []string{canary, pv + "/canary", disk + "/file"})
	unmountErr = nil
	b.remove()
	checkThere(t, []string{canary})
	if _, err := os.Lstat(filepath.Join(b.cfg.Dir, "u1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pod's directory is left: %v", err)
	}
}
