package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	corev1 "k8s.io/api/core/v1"
)

// hostPathPlugin gives a path of the host as it is: nothing is mounted.
func hostPathPlugin() Plugin {
	return Plugin{
		Name: "kubernetes.io/host-path", Is: func(vol *corev1.Volume) bool { return vol.HostPath != nil }, Unmount: unmountDir,
		Mount: func(_ context.Context, r Request) (Mounted, error) {
			return Mounted{Path: r.Volume.HostPath.Path}, checkHostPath(r.Volume.HostPath)
		},
	}
}

// checkHostPath makes what the type of a hostPath allows to make, and refuses what is not of its type.
func checkHostPath(source *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if source.Type != nil {
		kind = *source.Type
	}
	switch kind {
	case corev1.HostPathUnset:
		// Docker makes an absent directory for a bind mount; a file cannot be guessed.
		return nil
	case corev1.HostPathDirectoryOrCreate:
		if err := makeIfAbsent(source.Path, func() error { return os.MkdirAll(source.Path, 0o755) }); err != nil {
			return err
		}
		kind = corev1.HostPathDirectory
	case corev1.HostPathFileOrCreate:
		if err := makeIfAbsent(source.Path, func() error { return makeFile(source.Path) }); err != nil {
			return err
		}
		kind = corev1.HostPathFile
	}
	info, err := os.Stat(source.Path)
	if err != nil || !isOfType(info.Mode(), kind) {
		return fmt.Errorf("hostPath type check failed: %s is not %s", source.Path, describeType(kind))
	}
	return nil
}

func makeIfAbsent(path string, create func() error) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return create()
}

func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func isOfType(mode fs.FileMode, kind corev1.HostPathType) bool {
	switch kind {
	case corev1.HostPathDirectory:
		return mode.IsDir()
	case corev1.HostPathFile:
		return mode.IsRegular()
	case corev1.HostPathSocket:
		return mode.Type() == fs.ModeSocket
	case corev1.HostPathCharDev:
		return mode.Type() == fs.ModeDevice|fs.ModeCharDevice
	case corev1.HostPathBlockDev:
		return mode.Type() == fs.ModeDevice
	}
	return false
}

func describeType(kind corev1.HostPathType) string {
	switch kind {
	case corev1.HostPathDirectory:
		return "a directory"
	case corev1.HostPathFile:
		return "a file"
	case corev1.HostPathSocket:
		return "a socket file"
	case corev1.HostPathCharDev:
		return "a character device"
	case corev1.HostPathBlockDev:
		return "a block device"
	}
	return fmt.Sprintf("of the known types (%q)", kind)
}
