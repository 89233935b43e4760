package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema/volumes"
)

// The kinds of persistent volumes that a node mounts.
const (
	kindHostPath = "hostPath"
	kindLocal    = "local"
	kindBlock    = "block" // a local volume of the mode Block: a device
)

// volumeSource is where a persistent volume is on the node.
type volumeSource struct {
	kind     string // one of those above
	path     string
	hostType corev1.HostPathType // of a kindHostPath
}

// sourceOf is where a persistent volume is; refused are volumes that the node does not reach, that are of another type or have mount options.
func (r Request) sourceOf(pv *corev1.PersistentVolume) (volumeSource, error) {
	node := r.volumes.cfg.Node()
	if node == nil {
		return volumeSource{}, failedFor(pv.Name, "NodeAffinity check failed", errors.New("the node's labels are not known yet"))
	}
	if err := volumes.MatchesNode(pv, node.Labels); err != nil {
		return volumeSource{}, failedFor(pv.Name, "NodeAffinity check failed", err)
	}
	var source volumeSource
	switch {
	case pv.Spec.CSI != nil:
		return volumeSource{}, failedFor(pv.Name, "MountDevice failed", fmt.Errorf("kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: "+
			"driver name %s not found in the list of registered CSI drivers", pv.Spec.CSI.Driver))
	case isBlock(pv) && pv.Spec.Local == nil:
		return volumeSource{}, failedFor(pv.Name, "NewBlockVolumeMapper initialization failed", errors.New("no volume plugin matched"))
	case pv.Spec.HostPath != nil:
		source = volumeSource{kind: kindHostPath, path: pv.Spec.HostPath.Path}
		if t := pv.Spec.HostPath.Type; t != nil {
			source.hostType = *t
		}
	case pv.Spec.Local != nil:
		source = volumeSource{kind: kindLocal, path: pv.Spec.Local.Path}
		if isBlock(pv) {
			source.kind = kindBlock
		}
	default:
		return volumeSource{}, failedFor(pv.Name, "NewMounter initialization failed", errors.New("no volume plugin matched"))
	}
	if len(pv.Spec.MountOptions) > 0 {
		return volumeSource{}, failedFor(pv.Name, "MountOptionSupport check failed", errors.New("mount options are not supported for this volume type"))
	}
	if !path.IsAbs(source.path) || slices.Contains(strings.Split(source.path, "/"), "..") {
		return volumeSource{}, failedFor(pv.Name, "SetUp failed", fmt.Errorf("invalid path: %q must be absolute and must not contain '..'", source.path))
	}
	return source, nil
}

func isBlock(pv *corev1.PersistentVolume) bool {
	return pv.Spec.VolumeMode != nil && *pv.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// checkSource tells whether a volume is where it should be. A local one is a directory, or a block device, that somebody has made.
func checkSource(s volumeSource) error {
	if s.kind == kindHostPath {
		return checkHostPath(&corev1.HostPathVolumeSource{Path: s.path, Type: &s.hostType})
	}
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("path %q does not exist", s.path)
	case err != nil:
		return err
	case s.kind == kindBlock && !isOfType(info.Mode(), corev1.HostPathBlockDev):
		return fmt.Errorf("path %q is not a block device", s.path)
	case s.kind == kindLocal && !info.IsDir():
		return fmt.Errorf("path %q is not a directory: only directories are supported", s.path)
	}
	return nil
}
