// Package localvolumes keeps the directories of the local volumes of a node: those of the provisioner gantry.io/local, which the storage
// class local names.
//
// # Contract
//
// The controller persistentvolumebinder creates and deletes the PersistentVolumes. A volume's directory is made when a pod mounts it for the
// first time (Make), as <Dir>/<volume>. It is removed when the volume is being deleted, its reclaim policy is Delete, no other finalizer
// protects it and no pod of the node holds it any more; then the finalizer gantry.io/local-volume is taken off and the object goes. A volume
// with another policy goes and its directory stays.
//
// Only directories are touched that are named as the controller names volumes, directly below Dir. Whether one was made is recorded in
// Records, on the disk of the node's other data: a volume whose directory is lost is not replaced by an empty one. A directory is renamed
// before it is removed, so a volume has all of its data or none. Every step can be repeated, so a restart may come between any two.
//
// The size of a volume is what its claim asked for and is not enforced: volumes share the file system that Dir is on.
package localvolumes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/events"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// Config is what Volumes needs.
type Config struct {
	// Dir has the volumes' directories, Records the record of each.
	Dir, Records string
	// Node is the node's name.
	Node string
	// Registry reads the node's own local volumes.
	Registry *registry.Registry
	// Gateway reads a volume before its directory is removed, and takes the finalizer off it.
	Gateway registry.API
	// UsersOf lists the pods of this node that hold a volume.
	UsersOf func(volume string) ([]string, error)
	Events  *events.Recorder
	Log     *slog.Logger
}

// Volumes keeps the directories of a node's local volumes. Its methods may be called at the same time.
type Volumes struct {
	cfg         Config
	directories *directories

	mu       sync.Mutex // guards followed
	followed map[string]*corev1.PersistentVolume
}

// New returns Volumes; it starts nothing.
func New(cfg Config) *Volumes {
	return &Volumes{cfg: cfg, directories: &directories{dir: cfg.Dir, records: cfg.Records}, followed: map[string]*corev1.PersistentVolume{}}
}

// removals is how many directories are removed at a time.
const removals = 2

// How soon a volume is looked at again that pods still hold, or whose directory could not be removed.
const (
	heldRetry    = 2 * time.Second
	removalRetry = 10 * time.Second
)

// Make makes the directory of a volume that is new. It is idempotent. That a directory was made before and is lost is an error.
func (v *Volumes) Make(pv *corev1.PersistentVolume) error {
	if err := v.check(pv); err != nil {
		return err
	}
	rec := record{Path: pv.Spec.Local.Path}
	if ref := pv.Spec.ClaimRef; ref != nil {
		rec.Claim = ref.Namespace + "/" + ref.Name
	}
	return v.directories.make(pv.Name, rec)
}

// check returns why a volume's directory is none that this node makes or removes; nil: it is one. A volume may have been written by anybody.
func (v *Volumes) check(pv *corev1.PersistentVolume) error {
	switch node := volumes.LocalNodeOf(pv); {
	case node != v.cfg.Node:
		return fmt.Errorf("the volume is of node %q, not of %q", node, v.cfg.Node)
	case !validName.MatchString(pv.Name):
		return fmt.Errorf("%q is no name of a volume that the provisioner %s makes", pv.Name, volumes.LocalProvisioner)
	case pv.Spec.Local == nil || pv.Spec.Local.Path != filepath.Join(v.cfg.Dir, pv.Name):
		return fmt.Errorf("its path is not %q: local volumes of this node are in %s", filepath.Join(v.cfg.Dir, pv.Name), v.cfg.Dir)
	}
	return nil
}

// Run removes the directories of volumes that are deleted, until ctx is done.
func (v *Volumes) Run(ctx context.Context) error {
	if err := v.directories.removeLeftovers(); err != nil {
		v.cfg.Log.Warn("directories of deleted local volumes not removed", "err", err)
	}
	removing := loop.New("localvolumes", removals, v.cfg.Log, v.reconcile) // it has goroutines from here on, which its Run ends
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return removing.Run(ctx) })
	g.Go(func() error {
		return v.cfg.Registry.Follow(ctx, core.PersistentVolume, func(c registry.Change) { v.follow(c, removing.Add) })
	})
	return g.Wait()
}

// follow keeps the node's volumes as they are, and enqueues one whose directory is to be removed.
func (v *Volumes) follow(c registry.Change, enqueue func(name string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.New == nil {
		delete(v.followed, c.Old.Name)
		return
	}
	pv, ok := c.New.Object().(*corev1.PersistentVolume)
	if !ok {
		return
	}
	v.followed[c.New.Name] = pv
	if isReleased(pv) {
		enqueue(c.New.Name)
	}
}

// isReleased tells whether a volume is being deleted and only waits for its directory's removal.
func isReleased(pv *corev1.PersistentVolume) bool {
	return pv.DeletionTimestamp != nil && slices.Equal(pv.Finalizers, []string{volumes.LocalFinalizer})
}

func (v *Volumes) reconcile(ctx context.Context, name string) (after time.Duration, err error) {
	v.mu.Lock()
	pv := v.followed[name]
	v.mu.Unlock()
	if pv == nil || !isReleased(pv) {
		return 0, nil
	}
	item, err := v.cfg.Gateway.Get(ctx, core.PersistentVolume, "", name, "")
	if errors.Is(err, registry.NotFound) {
		return 0, nil // what was followed is a copy that is left over: no order to remove anything
	}
	if err != nil {
		return 0, fmt.Errorf("reading volume %s before the removal of its directory: %w", name, err)
	}
	pv, ok := item.Object().(*corev1.PersistentVolume)
	if !ok || !isReleased(pv) {
		return 0, nil
	}
	if held, err := v.removeDirectory(pv); held || err != nil {
		return v.notRemoved(ctx, pv, err), nil
	}
	return 0, v.release(ctx, pv)
}

// removeDirectory removes a volume's directory, or leaves it where the volume's policy is not Delete. held: pods hold the volume, and nothing
// was done.
func (v *Volumes) removeDirectory(pv *corev1.PersistentVolume) (held bool, err error) {
	if err := v.check(pv); err != nil {
		return false, err
	}
	users, err := v.cfg.UsersOf(pv.Name)
	if err != nil || len(users) > 0 {
		return len(users) > 0, err
	}
	if pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		v.cfg.Log.Info("local volume kept", "name", pv.Name, "path", pv.Spec.Local.Path, "reason", "its reclaim policy is "+string(pv.Spec.PersistentVolumeReclaimPolicy))
		return false, v.directories.forget(pv.Name)
	}
	if err := v.directories.remove(pv.Name); err != nil {
		return false, err
	}
	v.cfg.Log.Info("local volume removed", "name", pv.Name, "path", pv.Spec.Local.Path, "reason", "it is deleted")
	return false, nil
}

// notRemoved reports why a directory is left, and returns after how long its removal is tried again.
func (v *Volumes) notRemoved(ctx context.Context, pv *corev1.PersistentVolume, err error) time.Duration {
	if err == nil {
		return heldRetry
	}
	if ctx.Err() == nil {
		v.cfg.Events.Event(core.PersistentVolume, pv, corev1.EventTypeWarning, "VolumeFailedDelete", "%v", err)
		v.cfg.Log.Warn("local volume not removed", "name", pv.Name, "after", removalRetry, "err", err)
	}
	return removalRetry
}

// release takes the finalizer off a volume whose directory is removed.
func (v *Volumes) release(ctx context.Context, pv *corev1.PersistentVolume) error {
	_, err := v.cfg.Gateway.Modify(ctx, core.PersistentVolume, "", pv.Name, func(current schema.Object) (schema.Object, error) {
		current.SetFinalizers(slices.DeleteFunc(slices.Clone(current.GetFinalizers()), func(f string) bool { return f == volumes.LocalFinalizer }))
		return current, nil
	}, registry.WriteOptions{UID: string(pv.UID)})
	if err != nil && !errors.Is(err, registry.NotFound) {
		return fmt.Errorf("releasing volume %s: %w", pv.Name, err)
	}
	return nil
}
