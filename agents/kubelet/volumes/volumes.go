// Package volumes puts a pod's volumes on the node's disk, where its containers mount them from.
//
// A pod's directory is <Dir>/<pod uid>/volumes/kubernetes.io~<type>/<volume name>, as kubelets lay it out. Contents made from
// objects (configMap, secret, downwardAPI, projected) are swapped as a whole by one rename, so that a
// reader sees the old or the new state (atomic.go). A subPath is opened once, beneath its volume, and mounted at
// <Dir>/<pod uid>/volume-subpaths (subpath.go). Nothing here follows a link that a pod may have made out of its volume, and
// nothing is removed that is mounted below a pod's directory.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/removetree"
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

// Volumes keeps the volumes of a node's pods. Its methods may be called at the same time; those for one pod take turns.
type Volumes struct {
	cfg Config

	mu   sync.Mutex // guards pods, and parts of a podState
	pods map[string]*podState
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
	return &Volumes{cfg: cfg, pods: map[string]*podState{}}
}

// Mount makes or refreshes every volume of pod and returns them by name. It is idempotent: what a restarted
// kubelet finds mounted stays as it is. Errors name the volume in the kubelet's words.
func (v *Volumes) Mount(ctx context.Context, pod *corev1.Pod) (map[string]Mounted, error) {
	if _, err := Join(v.cfg.Dir, string(pod.UID)); err != nil {
		return nil, fmt.Errorf("mounting volumes: the pod's uid: %w", err)
	}
	ctx, p, unlock, err := v.lock(ctx, string(pod.UID), false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	v.mark(p, false, false)
	mounted := map[string]Mounted{}
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		m, err := v.mount(ctx, p, pod, vol)
		if err != nil {
			return nil, fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", vol.Name, err)
		}
		mounted[vol.Name] = m
	}
	return mounted, nil
}

// Refresh brings volumes made from objects up to date and renews tokens near their end. Volumes whose objects are
// away keep their last content. A pod whose volumes are unmounted stays so.
func (v *Volumes) Refresh(ctx context.Context, pod *corev1.Pod) error {
	dir, err := Join(v.cfg.Dir, string(pod.UID))
	if err != nil {
		return fmt.Errorf("refreshing volumes: the pod's uid: %w", err)
	}
	ctx, p, unlock, err := v.lock(ctx, string(pod.UID), false)
	if err != nil {
		return err
	}
	defer unlock()
	if v.isUnmounted(p) {
		return nil
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		v.mark(p, true, true)
		return nil
	}
	var errs []error
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		if sourceType(vol) == "" {
			continue
		}
		if _, err := v.mount(ctx, p, pod, vol); err != nil && !errors.Is(context.Cause(ctx), errUnmounted) {
			errs = append(errs, fmt.Errorf("refreshing volume %q: %w", vol.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Unmount unmounts everything of a pod's volumes: after it nothing is mounted below the pod's directory, and Refresh does nothing.
// An absent pod is no error.
func (v *Volumes) Unmount(ctx context.Context, podUID string) error {
	if _, err := Join(v.cfg.Dir, podUID); err != nil {
		return fmt.Errorf("unmounting volumes: the pod's uid: %w", err)
	}
	_, p, unlock, err := v.lock(ctx, podUID, true)
	if err != nil {
		return err
	}
	defer unlock()
	v.mark(p, true, false)
	clear(p.tokens)
	return detachBelow(v.cfg.Dir, podUID)
}

// Remove removes a pod's directory, whose volumes are unmounted. While something is mounted below it that is an error and nothing is
// removed. An absent pod is no error.
func (v *Volumes) Remove(ctx context.Context, podUID string) error {
	dir, err := Join(v.cfg.Dir, podUID)
	if err != nil {
		return fmt.Errorf("removing a pod's directory: the pod's uid: %w", err)
	}
	_, p, unlock, err := v.lock(ctx, podUID, true)
	if err != nil {
		return err
	}
	defer unlock()
	if err := checkNotMounted(v.cfg.Dir, podUID); err != nil {
		return fmt.Errorf("removing a pod's directory: %w", err)
	}
	if err := removetree.All(dir); err != nil {
		return fmt.Errorf("removing a pod's directory: %w", err)
	}
	v.mark(p, true, true)
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
func (v *Volumes) mount(ctx context.Context, p *podState, pod *corev1.Pod, vol *corev1.Volume) (Mounted, error) {
	switch {
	case vol.EmptyDir != nil:
		return v.mountEmptyDir(pod, vol)
	case vol.HostPath != nil:
		return Mounted{Path: vol.HostPath.Path}, checkHostPath(vol.HostPath)
	case sourceType(vol) != "":
		return v.mountFiles(ctx, p, pod, vol)
	}
	return Mounted{}, errors.New("volume type is not supported by this node")
}

// makeDir makes a volume's directory.
func (v *Volumes) makeDir(pod *corev1.Pod, kind, name string) (string, error) {
	path, err := Join(v.cfg.Dir, string(pod.UID), "volumes", kind, name)
	if err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o755)
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
func (v *Volumes) mountFiles(ctx context.Context, p *podState, pod *corev1.Pod, vol *corev1.Volume) (Mounted, error) {
	files, err := v.files(ctx, p, pod, vol)
	if err != nil {
		return Mounted{}, err
	}
	dir, err := v.makeDir(pod, sourceType(vol), vol.Name)
	if err != nil {
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
