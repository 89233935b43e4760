package controller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/registry"
	"gantry/schema"
)

// OwnedOrSelected returns the objects that owner owns or that its selector matches, as the cache knows them, sorted by name: the
// candidates of ClaimChildren.
func OwnedOrSelected[T schema.Object](ctx context.Context, r *Registry, owner schema.Object, selector labels.Selector) ([]T, error) {
	client := registry.For[T](r)
	owned, err := client.CachedOwned(ctx, string(owner.GetUID()))
	if err != nil {
		return nil, err
	}
	selected, err := client.CachedList(ctx, owner.GetNamespace(), selector.String())
	if err != nil {
		return nil, err
	}
	return Union(owned, selected), nil
}

// ClaimChildren returns which candidates owner controls and selects, and a plan for the others: those it controls and does not select
// are released, orphans it selects are adopted. An owner or an orphan that is being deleted changes nothing. What the plan adopts or
// releases counts once the cache shows it: reconcile again after AdoptAndRelease.
func ClaimChildren[T schema.Object](ownerKind *schema.Kind, owner schema.Object, kind *schema.Kind, selector labels.Selector, candidates []T) (children []T, plan []Action) {
	return ClaimMatching(ownerKind, owner, kind, func(c T) bool { return selector.Matches(labels.Set(c.GetLabels())) }, candidates)
}

// ClaimMatching is ClaimChildren with a function that says what the owner selects.
func ClaimMatching[T schema.Object](ownerKind *schema.Kind, owner schema.Object, kind *schema.Kind, selects func(T) bool, candidates []T) (children []T, plan []Action) {
	for _, c := range candidates {
		ref := metav1.GetControllerOfNoCopy(c)
		matches := selects(c)
		switch {
		case ref != nil && ref.UID != owner.GetUID():
		case ref != nil && matches:
			children = append(children, c)
		case owner.GetDeletionTimestamp() != nil:
		case ref != nil:
			plan = append(plan, release(kind, c, owner))
		case matches && c.GetDeletionTimestamp() == nil:
			plan = append(plan, adopt(ownerKind, owner, kind, c))
		}
	}
	return children, plan
}

func adopt(ownerKind *schema.Kind, owner schema.Object, kind *schema.Kind, obj schema.Object) Action {
	c := obj.DeepCopyObject().(schema.Object)
	refs := slices.DeleteFunc(c.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == owner.GetUID() })
	c.SetOwnerReferences(append(refs, *metav1.NewControllerRef(owner, ownerKind.GVK())))
	return Action{Do: Update, Kind: kind, Object: c, Reason: "adopted: the selector of " + ownerKind.Kind + " " + owner.GetName() + " matches and nobody controls it"}
}

func release(kind *schema.Kind, obj, owner schema.Object) Action {
	c := obj.DeepCopyObject().(schema.Object)
	c.SetOwnerReferences(slices.DeleteFunc(c.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == owner.GetUID() }))
	return Action{Do: Update, Kind: kind, Object: c, Reason: "released: the selector of " + owner.GetName() + " no longer matches"}
}

// RequeueNow as Reconcile's after has the key reconciled again at once.
const RequeueNow = time.Millisecond

// AdoptAndRelease executes a plan of adoptions and releases, after a consistent read has shown that the owner is there and not being deleted.
func (e *Env) AdoptAndRelease(ctx context.Context, k *schema.Kind, owner schema.Object, plan []Action) error {
	item, err := e.Registry.Get(ctx, k, owner.GetNamespace(), owner.GetName(), "")
	if err != nil {
		return err
	}
	if o := item.Object(); o.GetUID() != owner.GetUID() || o.GetDeletionTimestamp() != nil {
		return nil
	}
	return e.Execute(ctx, plan)
}

// EnqueueOwner enqueues the controlling owner (of kind) of an object that changed and, for an orphan, everything in index that selects it.
func (e *Env) EnqueueOwner(kind string, index *SelectorIndex, old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		if obj == nil {
			continue
		}
		ref := metav1.GetControllerOfNoCopy(obj)
		switch {
		case ref != nil && ref.Kind == kind:
			key := obj.GetNamespace() + "/" + ref.Name
			e.Enqueue(key, index.Delay(key))
		case ref == nil && current != nil:
			index.Each(obj.GetNamespace(), obj.GetLabels(), func(key string) { e.Enqueue(key, index.Delay(key)) })
		}
	}
}

// IndexOwner is the Keys of a Watch of owners: it keeps their selectors in index, and enqueues an owner that changes.
func (e *Env) IndexOwner(index *SelectorIndex, selector func(schema.Object) *metav1.LabelSelector) func(old, current schema.Object) {
	return func(old, current schema.Object) {
		if current == nil {
			index.Set(old, nil)
			return
		}
		index.Set(current, SelectorOf(selector(current)))
		e.Enqueue(KeyOf(current), 0)
	}
}

// EnqueuePodOwner is the Keys of a Watch of pods: EnqueueOwner without the changes of a pod that say nothing to its owner: those between pods
// that are SamePod, and same to each of the owner's own functions.
func (e *Env) EnqueuePodOwner(kind string, index *SelectorIndex, same ...func(a, b *corev1.Pod) bool) func(old, current schema.Object) {
	same = append(same, SamePod)
	isOthers := func(pod schema.Object) bool {
		ref := metav1.GetControllerOfNoCopy(pod)
		return ref != nil && ref.Kind != kind
	}
	return func(old, current schema.Object) {
		if (old == nil || isOthers(old)) && (current == nil || isOthers(current)) {
			return // most changes of pods, for most kinds
		}
		if old != nil && current != nil && !slices.ContainsFunc(same, func(f func(a, b *corev1.Pod) bool) bool { return !f(old.(*corev1.Pod), current.(*corev1.Pod)) }) {
			return
		}
		e.EnqueueOwner(kind, index, old, current)
	}
}

// Cached returns the object of a key "<namespace>/<name>", or "<name>", from the cache; nil: there is none.
func Cached[T schema.Object](ctx context.Context, r *Registry, key string) (obj T, err error) {
	namespace, name, namespaced := strings.Cut(key, "/")
	if !namespaced {
		namespace, name = "", key
	}
	obj, err = registry.For[T](r).Cached(ctx, namespace, name)
	if errors.Is(err, registry.NotFound) {
		var none T
		return none, nil
	}
	return obj, err
}
