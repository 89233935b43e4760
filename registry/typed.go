package registry

import (
	"context"
	"fmt"
	"reflect"

	"gantry/schema"
)

// Objects is what Typed is made of: a Registry, or one that lets only some kinds through.
type Objects interface {
	API
	List(ctx context.Context, k *schema.Kind, namespace string, o ListOptions) (List, error)
	Owned(ctx context.Context, k *schema.Kind, uid string) ([]*Item, error)
	Follow(ctx context.Context, k *schema.Kind, f func(Change)) error
	Kinds() *schema.Kinds
}

var _ Objects = (*Registry)(nil)

// Typed is access to one kind without casts: registry.For[*corev1.Pod](r).
type Typed[T schema.Object] struct {
	r Objects
	k *schema.Kind
}

// For returns the access to the kind whose Go type is T. A type of no kind is a programmer's error and panics.
func For[T schema.Object](r Objects) Typed[T] {
	k := r.Kinds().Set().Of(reflect.TypeFor[T]())
	if k == nil {
		panic(fmt.Sprintf("registry: no kind has the type %s", reflect.TypeFor[T]()))
	}
	return Typed[T]{r, k}
}

// Cached returns the object as the cache knows it: shared, read-only, NotFound where absent.
func (t Typed[T]) Cached(ctx context.Context, namespace, name string) (T, error) {
	return typed[T](t.r.Get(ctx, t.k, namespace, name, "0"))
}

// CachedList returns the objects of a namespace ("": all) that match a label selector ("": all) as the cache
// knows them: shared, read-only, in key order.
func (t Typed[T]) CachedList(ctx context.Context, namespace, labels string) ([]T, error) {
	return t.CachedSelect(ctx, namespace, labels, "")
}

// CachedSelect is CachedList with a field selector too ("spec.nodeName=n1").
func (t Typed[T]) CachedSelect(ctx context.Context, namespace, labels, fields string) ([]T, error) {
	l, err := t.r.List(ctx, t.k, namespace, ListOptions{ResourceVersion: "0", Labels: labels, Fields: fields})
	if err != nil {
		return nil, err
	}
	return objects[T](l.Items), nil
}

// CachedOwned returns the objects that name uid among their owners: shared, read-only.
func (t Typed[T]) CachedOwned(ctx context.Context, uid string) ([]T, error) {
	items, err := t.r.Owned(ctx, t.k, uid)
	return objects[T](items), err
}

// Get reads the object consistently. The result is shared and read-only.
func (t Typed[T]) Get(ctx context.Context, namespace, name string) (T, error) {
	return typed[T](t.r.Get(ctx, t.k, namespace, name, ""))
}

// Create stores a new object and returns it as stored (read-only). obj itself is not changed.
func (t Typed[T]) Create(ctx context.Context, obj T) (T, error) {
	return typed[T](t.r.Create(ctx, t.k, obj, WriteOptions{}))
}

// Update replaces the object when obj's resourceVersion is the stored one: else Conflict.
func (t Typed[T]) Update(ctx context.Context, obj T) (T, error) {
	return typed[T](t.r.Update(ctx, t.k, obj, WriteOptions{}))
}

// UpdateStatus is Update for the status subresource.
func (t Typed[T]) UpdateStatus(ctx context.Context, obj T) (T, error) {
	return typed[T](t.r.Update(ctx, t.k, obj, WriteOptions{Subresource: "status"}))
}

// Modify reads the object, lets change alter a copy, and replaces the object by it; it is repeated on conflict and writes
// nothing when the copy is equal. An error of change ends it and is returned.
func (t Typed[T]) Modify(ctx context.Context, namespace, name string, change func(T) error) (T, error) {
	return t.modify(ctx, namespace, name, change, WriteOptions{})
}

// ModifyStatus is Modify for the status subresource.
func (t Typed[T]) ModifyStatus(ctx context.Context, namespace, name string, change func(T) error) (T, error) {
	return t.modify(ctx, namespace, name, change, WriteOptions{Subresource: "status"})
}

func (t Typed[T]) modify(ctx context.Context, namespace, name string, change func(T) error, o WriteOptions) (T, error) {
	return typed[T](t.r.Modify(ctx, t.k, namespace, name, func(current schema.Object) (schema.Object, error) {
		return current, change(current.(T))
	}, o))
}

// Delete deletes the object; what that does depends on its grace period, finalizers and dependents.
func (t Typed[T]) Delete(ctx context.Context, namespace, name string, o DeleteOptions) error {
	_, _, err := t.r.Delete(ctx, t.k, namespace, name, o)
	return err
}

// Follow calls f for every object there is and then for every change, in order, until ctx is done: see
// Registry.Follow. old is nil (the zero T) for a new object, current for a deleted one.
func (t Typed[T]) Follow(ctx context.Context, f func(old, current T)) error {
	return t.r.Follow(ctx, t.k, func(c Change) {
		var old, current T
		if c.Old != nil {
			old, _ = typed[T](c.Old, nil)
		}
		if c.New != nil {
			current, _ = typed[T](c.New, nil)
		}
		f(old, current)
	})
}

func typed[T schema.Object](it *Item, err error) (obj T, _ error) {
	if err != nil {
		return obj, err
	}
	o, err := it.object()
	if err != nil {
		return obj, err
	}
	return o.(T), nil
}

func objects[T schema.Object](items []*Item) []T {
	out := make([]T, 0, len(items))
	for _, it := range items {
		if o, err := it.object(); err == nil {
			out = append(out, o.(T))
		}
	}
	return out
}
