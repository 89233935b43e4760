package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// binder binds claims and volumes, provisions local volumes and reclaims volumes. Its keys are "claim/<ns>/<name>", "volume/<name>" and, for
// a node that is gone, "node/<name>".
type binder struct {
	*controller.Env
	index *bindingIndex
}

// NewBinder makes the controller persistentvolumebinder.
func NewBinder(e *controller.Env) controller.Reconciler {
	b := &binder{e, newBindingIndex()}
	return controller.Reconciler{
		Reconcile: b.reconcile,
		Watches: []controller.Watch{
			{Kind: core.PersistentVolumeClaim, Keys: b.onClaim},
			{Kind: core.PersistentVolume, Keys: b.onVolume},
			{Kind: storage.StorageClass, Keys: b.onClass},
			{Kind: core.Pod, Keys: b.onPod},
			{Kind: core.Node, Keys: b.onNode},
		},
	}
}

func (b *binder) enqueueClaim(key string)   { b.Enqueue("claim/"+key, 0) }
func (b *binder) enqueueVolume(name string) { b.Enqueue("volume/"+name, 0) }

func (b *binder) onClaim(old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		pvc, ok := obj.(*corev1.PersistentVolumeClaim)
		if !ok {
			continue
		}
		if pvc.Spec.VolumeName != "" {
			b.enqueueVolume(pvc.Spec.VolumeName)
		}
		if obj == current {
			b.index.setClaim(controller.KeyOf(pvc), !volumes.FullyBound(pvc))
			b.enqueueClaim(controller.KeyOf(pvc))
		}
	}
	if current == nil {
		key := controller.KeyOf(old)
		b.index.setClaim(key, false)
		for _, volume := range b.index.volumesOf(key) {
			b.enqueueVolume(volume)
		}
	}
}

// onVolume enqueues a volume with the claim that it names; one that names none may be what any unbound claim waits for.
func (b *binder) onVolume(old, current schema.Object) {
	obj := current
	if obj == nil {
		obj = old
	}
	pv, ok := obj.(*corev1.PersistentVolume)
	if !ok {
		return
	}
	b.index.setVolume(pv.Name, claimKey(pv.Spec.ClaimRef), current != nil)
	if key := claimKey(pv.Spec.ClaimRef); key != "" {
		b.enqueueClaim(key)
	}
	if current == nil {
		return
	}
	b.enqueueVolume(pv.Name)
	if pv.Spec.ClaimRef == nil && pv.Status.Phase == corev1.VolumeAvailable {
		for _, key := range b.index.unboundClaims() {
			b.enqueueClaim(key)
		}
	}
}

func (b *binder) onClass(_, current schema.Object) {
	if current == nil {
		return
	}
	for _, key := range b.index.unboundClaims() {
		b.enqueueClaim(key)
	}
}

// onPod enqueues the unbound claims of a pod that is new: their events name the pods that wait for them.
func (b *binder) onPod(old, current schema.Object) {
	pod, ok := current.(*corev1.Pod)
	if !ok || old != nil || pod.Spec.NodeName != "" {
		return
	}
	for _, name := range volumes.ClaimNames(pod) {
		if key := pod.Namespace + "/" + name; b.index.isUnbound(key) {
			b.enqueueClaim(key)
		}
	}
}

func (b *binder) onNode(old, current schema.Object) {
	switch {
	case current == nil:
		b.Enqueue("node/"+old.GetName(), 0)
	case old == nil:
		for _, key := range b.index.unboundClaims() {
			b.enqueueClaim(key)
		}
	}
}

func (b *binder) reconcile(ctx context.Context, key string) (time.Duration, error) {
	what, name, _ := strings.Cut(key, "/")
	switch what {
	case "claim":
		return 0, b.reconcileClaim(ctx, name)
	case "volume":
		return 0, b.reconcileVolume(ctx, name)
	}
	return 0, b.reconcileNode(ctx, name)
}

func (b *binder) reconcileClaim(ctx context.Context, key string) error {
	namespace, name, _ := strings.Cut(key, "/")
	pvc, err := registry.For[*corev1.PersistentVolumeClaim](b.Registry).Cached(ctx, namespace, name)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	o, err := b.observeClaim(ctx, pvc)
	if err != nil {
		return err
	}
	return b.run(ctx, planClaim(o))
}

// run executes a plan and records the events that come without a write. What was made meanwhile by another is as good.
func (b *binder) run(ctx context.Context, p bindingPlan) error {
	for _, ev := range p.events {
		b.Record(ev)
	}
	err := b.Execute(ctx, p.actions)
	if errors.Is(err, registry.Exists) {
		return nil // its own event enqueues the claim
	}
	return err
}

// observeClaim reads what a plan for a claim is made of. That a volume or node is absent is read from the store.
func (b *binder) observeClaim(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (o claimState, err error) {
	o = claimState{claim: pvc}
	if name := core.StorageClassOf(pvc); name != "" {
		if o.class, err = find(ctx, registry.For[*storagev1.StorageClass](b.Registry), "", name); err != nil {
			return o, err
		}
	}
	if name := pvc.Spec.VolumeName; name != "" {
		o.volume, err = find(ctx, registry.For[*corev1.PersistentVolume](b.Registry), "", name)
		return o, err
	}
	if o.volumes, err = registry.For[*corev1.PersistentVolume](b.Registry).CachedList(ctx, "", ""); err != nil {
		return o, err
	}
	if !volumes.HasClass(pvc) {
		if o.defaultClass, err = b.defaultClass(ctx); err != nil {
			return o, err
		}
	}
	if node := pvc.Annotations[volumes.SelectedNode]; node != "" {
		o.node, err = find(ctx, registry.For[*corev1.Node](b.Registry), "", node)
		return o, err
	}
	if volumes.WaitsForConsumer(o.class) {
		o.waiting, err = b.waitingPods(ctx, pvc)
	}
	return o, err
}

// find reads an object from the cache, and from the store where the cache has none; absent is nil.
func find[T schema.Object](ctx context.Context, c registry.Typed[T], namespace, name string) (found T, err error) {
	if found, err = c.Cached(ctx, namespace, name); errors.Is(err, registry.NotFound) {
		found, err = c.Get(ctx, namespace, name)
	}
	if errors.Is(err, registry.NotFound) {
		var none T
		return none, nil
	}
	return found, err
}

// defaultClass is the newest class that is a default, the first by name of several; nil: none.
func (b *binder) defaultClass(ctx context.Context) (class *storagev1.StorageClass, err error) {
	all, err := registry.For[*storagev1.StorageClass](b.Registry).CachedList(ctx, "", "")
	for _, c := range all {
		if storage.IsDefault(c) && (class == nil || class.CreationTimestamp.Time.Before(c.CreationTimestamp.Time)) {
			class = c
		}
	}
	return class, err
}

// waitingPods are the names of the pods without a node that use a claim.
func (b *binder) waitingPods(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (names []string, err error) {
	all, err := registry.For[*corev1.Pod](b.Registry).CachedSelect(ctx, pvc.Namespace, "", "spec.nodeName=")
	for _, p := range all {
		if !pods.IsTerminal(p) && usesName(p, pvc.Name) {
			names = append(names, p.Name)
		}
	}
	return names, err
}

func (b *binder) reconcileVolume(ctx context.Context, name string) error {
	pv, err := registry.For[*corev1.PersistentVolume](b.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	o := volumeState{volume: pv}
	if ref := pv.Spec.ClaimRef; ref != nil && ref.UID != "" {
		claims := registry.For[*corev1.PersistentVolumeClaim](b.Registry)
		o.claim, err = find(ctx, claims, ref.Namespace, ref.Name)
		if err == nil && o.claim != nil && o.claim.UID != ref.UID { // the cache may be behind
			o.claim, err = claims.Get(ctx, ref.Namespace, ref.Name)
		}
		if errors.Is(err, registry.NotFound) {
			o.claim, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("reading the claim of volume %s: %w", name, err)
		}
	}
	if node := volumes.LocalNodeOf(pv); node != "" && pv.DeletionTimestamp != nil {
		n, err := find(ctx, registry.For[*corev1.Node](b.Registry), "", node)
		if err != nil {
			return err
		}
		o.nodeGone = n == nil
	}
	p := planVolume(o)
	if o.claim != nil && p.syncClaim {
		b.enqueueClaim(controller.KeyOf(o.claim))
	}
	return b.run(ctx, p)
}

// reconcileNode enqueues the local volumes of a node that is gone, and the claims that have chosen it.
func (b *binder) reconcileNode(ctx context.Context, name string) error {
	all, err := registry.For[*corev1.PersistentVolume](b.Registry).CachedList(ctx, "", "")
	if err != nil {
		return err
	}
	for _, pv := range all {
		if volumes.LocalNodeOf(pv) == name {
			b.enqueueVolume(pv.Name)
		}
	}
	for _, key := range b.index.unboundClaims() {
		b.enqueueClaim(key)
	}
	return nil
}
