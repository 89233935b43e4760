package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
	"gantry/schema/storage"
	"gantry/schema/volumes"
)

// protection removes a finalizer from objects of a kind that are being deleted, as soon as nothing uses them.
type protection[T schema.Object] struct {
	*controller.Env
	kind      *schema.Kind
	finalizer string
	// used tells whether something uses an object. It asks the cache, or where fresh is set the store.
	used func(ctx context.Context, obj T, fresh bool) (bool, error)
	// release is called before the finalizer is removed; nil: nothing is to be done.
	release func(ctx context.Context, obj T) error
}

// keys enqueues objects that are being deleted.
func (p protection[T]) keys(_, current schema.Object) {
	if current != nil && current.GetDeletionTimestamp() != nil {
		p.Enqueue(controller.KeyOf(current), 0)
	}
}

func (p protection[T]) reconcile(ctx context.Context, key string) (time.Duration, error) {
	namespace, name, namespaced := strings.Cut(key, "/")
	if !namespaced {
		namespace, name = "", key
	}
	objects := registry.For[T](p.Registry)
	obj, err := objects.Cached(ctx, namespace, name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if obj.GetDeletionTimestamp() == nil || !slices.Contains(obj.GetFinalizers(), p.finalizer) {
		return 0, nil
	}
	for _, fresh := range []bool{false, true} { // what uses it may be newer than the cache
		used, err := p.used(ctx, obj, fresh)
		if err != nil {
			return 0, fmt.Errorf("looking for what uses %s %s: %w", p.kind.Singular, key, err)
		}
		if used {
			return 0, nil // its end enqueues the key again
		}
	}
	if p.release != nil {
		if err := p.release(ctx, obj); err != nil {
			return 0, fmt.Errorf("releasing what belongs to %s %s: %w", p.kind.Singular, key, err)
		}
	}
	uid := obj.GetUID()
	_, err = objects.Modify(ctx, namespace, name, func(m T) error {
		if m.GetUID() == uid && m.GetDeletionTimestamp() != nil {
			m.SetFinalizers(slices.DeleteFunc(slices.Clone(m.GetFinalizers()), func(f string) bool { return f == p.finalizer }))
		}
		return nil
	})
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	return 0, err
}

// list is every object of a kind in a namespace, as the cache or the store has it.
func list[T schema.Object](ctx context.Context, e *controller.Env, k *schema.Kind, namespace string, fresh bool) ([]T, error) {
	o := registry.ListOptions{ResourceVersion: "0"}
	if fresh {
		o.ResourceVersion = ""
	}
	l, err := e.Registry.List(ctx, k, namespace, o)
	if err != nil {
		return nil, err
	}
	var all []T
	for _, it := range l.Items {
		if obj, ok := it.Object().(T); ok {
			all = append(all, obj)
		}
	}
	return all, nil
}

// NewClaimProtection lets claims go that no pod on a node mounts, after it has marked their local volumes.
func NewClaimProtection(e *controller.Env) controller.Reconciler {
	p := protection[*corev1.PersistentVolumeClaim]{
		Env: e, kind: core.PersistentVolumeClaim, finalizer: core.ClaimProtection,
		used: func(ctx context.Context, pvc *corev1.PersistentVolumeClaim, fresh bool) (bool, error) {
			all, err := list[*corev1.Pod](ctx, e, core.Pod, pvc.Namespace, fresh)
			return slices.ContainsFunc(all, func(p *corev1.Pod) bool { return usesClaim(p, pvc) }), err
		},
		release: func(ctx context.Context, pvc *corev1.PersistentVolumeClaim) error { return markReleased(ctx, e, pvc) },
	}
	return controller.Reconciler{Reconcile: p.reconcile, Watches: []controller.Watch{
		{Kind: core.PersistentVolumeClaim, Keys: p.keys},
		{Kind: core.Pod, Keys: func(old, current schema.Object) {
			if pod, ok := old.(*corev1.Pod); ok && (current == nil || current.GetUID() != old.GetUID() || pods.IsTerminal(current.(*corev1.Pod))) {
				for _, name := range volumes.ClaimNames(pod) {
					e.Enqueue(pod.Namespace+"/"+name, 0)
				}
			}
		}},
	}}
}

// markReleased marks the local volume of a claim that is being deleted, so that the binder may delete the volume when the claim is gone.
// The volume of a claim that does not name one yet has a name that derives from the claim.
func markReleased(ctx context.Context, e *controller.Env, pvc *corev1.PersistentVolumeClaim) error {
	name := pvc.Spec.VolumeName
	if name == "" {
		name = volumes.ProvisionedName(pvc)
	}
	_, err := registry.For[*corev1.PersistentVolume](e.Registry).Modify(ctx, "", name, func(pv *corev1.PersistentVolume) error {
		if ref := pv.Spec.ClaimRef; volumes.LocalNodeOf(pv) != "" && ref != nil && ref.UID == pvc.UID {
			volumes.Annotate(pv, volumes.ReleasedByClaim, string(pvc.UID))
		}
		return nil
	})
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}

// usesClaim tells whether a pod keeps a claim. One without a node does not: no kubelet mounts a claim that is being deleted. One that has
// ended no longer keeps a claim of its own.
func usesClaim(pod *corev1.Pod, pvc *corev1.PersistentVolumeClaim) bool {
	return pod.Spec.NodeName != "" && slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		name, created := volumes.ClaimName(pod, &v)
		if name != pvc.Name {
			return false
		}
		return !created || !pods.IsTerminal(pod) && metav1.IsControlledBy(pvc, pod)
	})
}

// usesName tells whether a pod has a volume of a claim of that name.
func usesName(pod *corev1.Pod, claim string) bool {
	return slices.Contains(volumes.ClaimNames(pod), claim)
}

// NewVolumeProtection lets volumes go that are not bound to a claim.
func NewVolumeProtection(e *controller.Env) controller.Reconciler {
	p := protection[*corev1.PersistentVolume]{Env: e, kind: core.PersistentVolume, finalizer: core.VolumeProtection,
		used: func(_ context.Context, pv *corev1.PersistentVolume, _ bool) (bool, error) {
			return pv.Status.Phase == corev1.VolumeBound, nil
		}}
	return controller.Reconciler{Reconcile: p.reconcile, Watches: []controller.Watch{{Kind: core.PersistentVolume, Keys: p.keys}}}
}

// NewAttributesClassProtection lets volume attributes classes go that no claim and no volume names.
func NewAttributesClassProtection(e *controller.Env) controller.Reconciler {
	p := protection[*storagev1.VolumeAttributesClass]{Env: e, kind: storage.VolumeAttributesClass, finalizer: storage.AttributesClassProtection,
		used: func(ctx context.Context, class *storagev1.VolumeAttributesClass, fresh bool) (bool, error) {
			claims, err := list[*corev1.PersistentVolumeClaim](ctx, e, core.PersistentVolumeClaim, "", fresh)
			all, volumeErr := list[*corev1.PersistentVolume](ctx, e, core.PersistentVolume, "", fresh)
			named := func(obj schema.Object) bool { return slices.Contains(attributesClasses(obj), class.Name) }
			return slices.ContainsFunc(claims, func(c *corev1.PersistentVolumeClaim) bool { return named(c) }) ||
				slices.ContainsFunc(all, func(v *corev1.PersistentVolume) bool { return named(v) }), errors.Join(err, volumeErr)
		}}
	released := func(old, current schema.Object) {
		for _, name := range attributesClasses(old) {
			if !slices.Contains(attributesClasses(current), name) {
				e.Enqueue(name, 0)
			}
		}
	}
	return controller.Reconciler{Reconcile: p.reconcile, Watches: []controller.Watch{
		{Kind: storage.VolumeAttributesClass, Keys: p.keys},
		{Kind: core.PersistentVolumeClaim, Keys: released},
		{Kind: core.PersistentVolume, Keys: released},
	}}
}

// attributesClasses are the names of the classes that a claim or a volume has, had or is to have.
func attributesClasses(obj schema.Object) (names []string) {
	add := func(name *string) {
		if name != nil && *name != "" {
			names = append(names, *name)
		}
	}
	switch o := obj.(type) {
	case *corev1.PersistentVolumeClaim:
		add(o.Spec.VolumeAttributesClassName)
		add(o.Status.CurrentVolumeAttributesClassName)
		if s := o.Status.ModifyVolumeStatus; s != nil {
			add(&s.TargetVolumeAttributesClassName)
		}
	case *corev1.PersistentVolume:
		add(o.Spec.VolumeAttributesClassName)
	}
	return names
}
