// Package volumes puts a pod's volumes on the node's disk, where its containers mount them from.
//
// A pod's directory is <Dir>/<pod uid>/volumes/kubernetes.io~<type>/<volume name>, as kubelets lay it out. Contents made from
// objects (configMap, secret, downwardAPI, projected) are swapped as a whole by one rename, so that a
// reader sees the old or the new state (atomic.go). Nothing here follows a link that a pod may have made.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
)

// Config is what volumes need.
type Config struct {
	// Dir holds a directory per pod, named by its uid.
	Dir string
	// API reads config maps and secrets.
	API registry.API
	// Token asks for a token of a service account.
	Token func(ctx context.Context, namespace, serviceAccount string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
	// Field is the value of a pod's field, as a fieldRef names it: "metadata.name", "metadata.labels['app']".
	Field func(pod *corev1.Pod, path string) (string, error)
	// Resource is the value of a container's resourceFieldRef.
	Resource func(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Volumes keeps the volumes of a node's pods. Calls for different pods may run at the same time.
type Volumes struct {
	cfg Config

	mu     sync.Mutex // guards tokens
	tokens map[string]issued
}

// Mounted is a volume on disk.
type Mounted struct {
	// Path is on the node: a directory, or for a hostPath whatever it is.
	Path string
	// ReadOnly volumes are mounted read-only whatever the container says.
	ReadOnly bool
}

// New returns Volumes; it starts nothing.
func New(cfg Config) *Volumes {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Volumes{cfg: cfg, tokens: map[string]issued{}}
}

// Mount makes or refreshes every volume of pod and returns them by name. It is idempotent: what a restarted
// kubelet finds mounted stays as it is. Errors name the volume in the kubelet's words.
func (v *Volumes) Mount(ctx context.Context, pod *corev1.Pod) (map[string]Mounted, error) {
	mounted := map[string]Mounted{}
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		m, err := v.mount(ctx, pod, vol)
		if err != nil {
			return nil, fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", vol.Name, err)
		}
		mounted[vol.Name] = m
	}
	return mounted, nil
}

// Refresh brings volumes made from objects up to date and renews tokens near their end. Volumes whose objects are
// away keep their last content.
func (v *Volumes) Refresh(ctx context.Context, pod *corev1.Pod) error {
	var errs []error
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		if sourceType(vol) == "" {
			continue
		}
		if _, err := v.mount(ctx, pod, vol); err != nil {
			errs = append(errs, fmt.Errorf("refreshing volume %q: %w", vol.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Unmount removes everything of a pod's volumes and its directory. An absent pod is no error.
func (v *Volumes) Unmount(podUID string) error {
	if podUID == "" || podUID != filepath.Base(podUID) || podUID == ".." {
		return fmt.Errorf("unmounting volumes: %q is no pod's uid", podUID)
	}
	v.forgetTokens(podUID)
	dir := filepath.Join(v.cfg.Dir, podUID)
	tmpfs, err := filepath.Glob(filepath.Join(dir, "volumes", emptyDirType, "*"))
	if err != nil {
		return err
	}
	for _, path := range tmpfs {
		if err := detach(path); err != nil {
			return fmt.Errorf("unmounting %s: %w", path, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing a pod's directory: %w", err)
	}
	return nil
}

// Pods lists the uids of pods that have a directory.
func (v *Volumes) Pods() ([]string, error) {
	entries, err := os.ReadDir(v.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var uids []string
	for _, e := range entries {
		uids = append(uids, e.Name())
	}
	return uids, err
}

const (
	emptyDirType = "kubernetes.io~empty-dir"
	readWriteAll = 0o777
)

// mount makes one volume.
func (v *Volumes) mount(ctx context.Context, pod *corev1.Pod, vol *corev1.Volume) (Mounted, error) {
	switch {
	case vol.EmptyDir != nil:
		return v.mountEmptyDir(pod, vol)
	case vol.HostPath != nil:
		return Mounted{Path: vol.HostPath.Path}, checkHostPath(vol.HostPath)
	case sourceType(vol) != "":
		return v.mountFiles(ctx, pod, vol)
	}
	return Mounted{}, errors.New("volume type is not supported by this node")
}

func (v *Volumes) path(pod *corev1.Pod, kind, name string) string {
	return filepath.Join(v.cfg.Dir, string(pod.UID), "volumes", kind, name)
}

// sourceType is the directory name of volumes made from objects, "" for the others.
func sourceType(vol *corev1.Volume) string {
	switch {
	case vol.ConfigMap != nil:
		return "kubernetes.io~configmap"
	case vol.Secret != nil:
		return "kubernetes.io~secret"
	case vol.DownwardAPI != nil:
		return "kubernetes.io~downward-api"
	case vol.Projected != nil:
		return "kubernetes.io~projected"
	}
	return ""
}

// mountFiles writes the files of a volume made from objects.
func (v *Volumes) mountFiles(ctx context.Context, pod *corev1.Pod, vol *corev1.Volume) (Mounted, error) {
	dir := v.path(pod, sourceType(vol), vol.Name)
	files, err := v.files(ctx, pod, vol)
	if err != nil {
		return Mounted{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Mounted{}, err
	}
	if err := writeAll(dir, files, fsGroup(pod)); err != nil {
		return Mounted{}, err
	}
	return Mounted{Path: dir, ReadOnly: true}, nil
}

// fsGroup is the group that owns a pod's volumes, -1 for none.
func fsGroup(pod *corev1.Pod) int {
	if s := pod.Spec.SecurityContext; s != nil && s.FSGroup != nil {
		return int(*s.FSGroup)
	}
	return -1
}
