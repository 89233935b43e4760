package volumes

import (
	"context"
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// imagePlugin makes the place of an image's files. MountImage mounts them: the image is pulled when a container needs it, as the
// container's own is.
func imagePlugin() Plugin {
	return Plugin{
		Name: "kubernetes.io/image", Is: func(vol *corev1.Volume) bool { return vol.Image != nil }, Unmount: unmountDir,
		Mount: func(_ context.Context, r Request) (Mounted, error) {
			path, err := r.MakeDir()
			return Mounted{Path: path, KeepOptions: true}, err
		},
	}
}

// MountImage mounts the files of an image at the place of a pod's volume, read-only and not executable (KEP-4639). layers are the directories
// of the image's layers, the uppermost first. What is mounted there already stays.
func (v *Volumes) MountImage(ctx context.Context, pod *corev1.Pod, volume string, layers []string) error {
	if len(layers) == 0 {
		return errors.New("the engine does not tell where the image's files are: image volumes need its storage driver overlay2")
	}
	plugin := imagePlugin()
	place, err := Join(v.cfg.Dir, string(pod.UID), volumesDir, plugin.dirName(), volume)
	if err != nil {
		return err
	}
	_, p, unlock, err := v.lock(ctx, string(pod.UID), false)
	if err != nil {
		return err
	}
	defer unlock()
	if v.isUnmounted(p) {
		return errUnmounted
	}
	err = checkNotMounted(v.cfg.Dir, strings.TrimPrefix(place, v.cfg.Dir+"/"))
	if errors.Is(err, ErrStillMounted) {
		return nil
	}
	if err != nil {
		return err
	}
	return mountLayers(place, layers)
}

// mountLayers mounts directories over each other.
func mountLayers(place string, layers []string) error {
	if len(layers) == 1 { // overlayfs wants two; this one is empty
		layers = []string{layers[0], place}
	}
	var lower []string
	for _, dir := range layers {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: dir, Err: err}
		}
		defer unix.Close(fd)
		lower = append(lower, fdPath(fd)) // short: all options together are at most a page
	}
	options := "lowerdir=" + strings.Join(lower, ":")
	if err := unix.Mount("overlay", place, "overlay", unix.MS_RDONLY|unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return &os.PathError{Op: "mount", Path: place, Err: err}
	}
	return nil
}
