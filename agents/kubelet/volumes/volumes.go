// Package volumes puts a pod's volumes on the node's disk, where its containers mount them from.
//
// # Contract
//
// A volume source is a Plugin: one file, one row in plugins (plugin.go). A pod's directory is
// <Dir>/<pod uid>/volumes/<plug-in's name, ~ for />/<volume name>, as kubelets lay it out. Mount is idempotent and returns where each volume is.
// Contents made from objects (configMap, secret, downwardAPI, projected) are replaced as a whole by one rename, so that a
// reader gets the old or the new state (atomic.go); Refresh brings them up to date. What a claim is bound to is used where it is; the
// pod's directory has a record of it (claimrecord.go). A subPath is opened once, beneath its volume, and
// mounted at <Dir>/<pod uid>/volume-subpaths (subpath.go). No link that a pod may have made out of its volume is followed.
//
// Unmount comes before Remove: it unmounts the subPaths, each volume by its plug-in, then whatever else is mounted below the pod's directory.
// Remove removes the directory when mountinfo has nothing below it, else it is ErrStillMounted and nothing is removed. Both are
// repeated by the caller until they succeed.
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
	// API reads config maps, secrets, claims and their volumes.
	API registry.API
	// Token asks for a token of a service account.
	Token func(ctx context.Context, namespace, serviceAccount string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
	// Field is the value of a pod's field, as a fieldRef names it: "metadata.name", "metadata.labels['app']".
	Field func(pod *corev1.Pod, path string) (string, error)
	// Resource is the value of a container's resourceFieldRef.
	Resource func(pod *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error)
	// Node is the node's object as last known; nil before it is.
	Node func() *corev1.Node
	// MakeLocal makes the directory of a local volume of Gantry's that is new. One that was made before and is lost is an error.
	MakeLocal func(pv *corev1.PersistentVolume) error
	// Warn records a warning event of a pod; may be nil.
	Warn func(pod *corev1.Pod, reason, message string)
	// Plugins are volume sources besides those of this package.
	Plugins []Plugin
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Volumes keeps the volumes of a node's pods. Its methods may be called at the same time; those for one pod run one after the other.
type Volumes struct {
	cfg     Config
	plugins []Plugin

	mu   sync.Mutex // guards pods, and parts of a podState
	pods map[string]*podState

	claiming sync.Mutex // held while it is decided whether a pod may have a persistent volume
}

// Mounted is a volume on disk.
type Mounted struct {
	// Path is on the node: a directory, or for a hostPath whatever it is.
	Path string
	// ReadOnly volumes are mounted read-only whatever the container says.
	ReadOnly bool
	// KeepOptions: it is mounted with options that a container's mount of it must not change.
	KeepOptions bool
	// Device: Path is a block device, for volumeDevices.
	Device bool
}

// New returns Volumes; it starts nothing.
func New(cfg Config) *Volumes {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Volumes{cfg: cfg, plugins: append(plugins(), cfg.Plugins...), pods: map[string]*podState{}}
}

// Mount makes or refreshes every volume of pod and returns them by name, in a map that is never nil. It is idempotent: what a restarted
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
		plugin, err := v.pluginOf(vol)
		var m Mounted
		if err == nil {
			m, err = v.mount(ctx, Request{pod, vol, plugin, v, p})
		}
		var worded *mountError
		if errors.As(err, &worded) {
			return nil, worded
		}
		if err != nil {
			return nil, fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", vol.Name, err)
		}
		mounted[vol.Name] = m
	}
	return mounted, nil
}

// mount mounts a volume. One made from objects keeps its last content while nobody answers about them.
func (v *Volumes) mount(ctx context.Context, r Request) (Mounted, error) {
	m, err := r.plugin.Mount(ctx, r)
	if r.plugin.Refresh && ctx.Err() == nil && (errors.Is(err, registry.Unavailable) || errors.Is(err, registry.Timeout)) {
		if last, there := r.lastContent(); there {
			return last, nil
		}
	}
	return m, err
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
		plugin, err := v.pluginOf(vol)
		if err != nil || !plugin.Refresh {
			continue
		}
		if _, err := plugin.Mount(ctx, Request{pod, vol, plugin, v, p}); err != nil && !errors.Is(context.Cause(ctx), errUnmounted) {
			errs = append(errs, fmt.Errorf("refreshing volume %q: %w", vol.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Unmount unmounts a pod's subPaths, then each volume by its plug-in, then whatever else is mounted below the pod's directory: after it
// nothing is, and Refresh does nothing. An error of a plug-in ends it after the other plug-ins: what is left mounted stays so, and the call
// is to be repeated. An absent pod is no error.
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
	if err := detachBelow(v.cfg.Dir, podUID+"/"+subPathsDir); err != nil {
		return err
	}
	err = v.eachVolume(podUID, func(p *Plugin, name, dir string) error {
		if err := p.Unmount(ctx, dir); err != nil {
			return fmt.Errorf("UnmountVolume.TearDown failed for volume %q : %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
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

// fsGroup is the group that owns a pod's volumes, -1 for none.
func fsGroup(pod *corev1.Pod) int {
	if s := pod.Spec.SecurityContext; s != nil && s.FSGroup != nil {
		return int(*s.FSGroup)
	}
	return -1
}
