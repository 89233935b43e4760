package registry

import (
	"context"
	"errors"
	"strconv"

	"gantry/registry/admit"
	"gantry/schema"
)

// admit runs the rules of admission. A node's registry writes nothing but its heartbeat and may not read what the
// rules look at: it runs none.
func (r *Registry) admit(ctx context.Context, q *admit.Request) error {
	if r.cfg.Node != "" {
		return nil
	}
	return refused(ctx, q.Kind, q.Name, admit.Run(ctx, finder{r}, q))
}

// refused is a rule's error as the registry's; nil stays nil.
func refused(ctx context.Context, k *schema.Kind, name string, err error) error {
	var denied *admit.Denied
	var missing *admit.Missing
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		e := fault(k, name, Forbidden, "")
		e.Reason, e.Causes = denied.Reason, denied.Causes
		return e
	case errors.As(err, &missing):
		return &Error{Kind: NotFound, Group: missing.Group, Resource: missing.Resource, KindName: missing.Kind, Name: missing.Name}
	case ctx.Err() != nil:
		return ctxError(ctx)
	}
	err = fromStore(err)
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Kind: Unavailable, Group: k.Group, Resource: k.Plural, KindName: k.Kind, Name: name, Cause: err}
}

// hold is an object that must be at a revision when another is written, as what was decided stands on it.
type hold struct {
	target
	rev   int64
	again func(name string, obj schema.Object) error // the decision on another state; nil: it is gone
}

// holds are those of a request that the rules have taken.
func (r *Registry) holds(q *admit.Request) []hold {
	var out []hold
	for _, h := range q.Held {
		k := finder{r}.kind(h.Group, h.Plural)
		rev, err := strconv.ParseInt(h.ResourceVersion, 10, 64)
		if k == nil || err != nil {
			continue // cannot happen: it was found
		}
		out = append(out, hold{target{k, h.Namespace, h.Name, objectKey(k, h.Namespace, h.Name)}, rev, h.Again})
	}
	return out
}

// renew looks at the holds of a transaction that did not run although the object was as expected: moved tells that one was at
// another revision, and is held there now. It is an error where the decision is another one there.
func (r *Registry) renew(ctx context.Context, s *swap) (moved bool, err error) {
	for i := range s.holds {
		h := &s.holds[i]
		met, err := r.read(ctx, h.target)
		if err != nil {
			return false, about(s.kind, s.name, err)
		}
		if met.rev == h.rev {
			continue
		}
		h.rev, moved = met.rev, true
		var obj schema.Object
		if met.item != nil {
			obj = met.item.Object()
			r.writes.keep(h.key, met.item) // the next write knows it, should the cache be behind for longer
		} else if met.rev != 0 {
			return true, &Error{Kind: Unreadable, Group: h.kind.Group, Resource: h.kind.Plural, KindName: h.kind.Kind, Name: h.name, Cause: met.bad}
		}
		if err := refused(ctx, s.kind, s.name, h.again(h.name, obj)); err != nil {
			return true, err
		}
	}
	return moved, nil
}

// finder is the rules' view of other objects: the cache, and etcd for what the cache does not have (yet).
type finder struct{ r *Registry }

// Serves is admit.Reader's Serves.
func (f finder) Serves(group, plural string) bool { return f.kind(group, plural) != nil }

// Find is admit.Reader's Find.
func (f finder) Find(ctx context.Context, group, plural, namespace, name string) (schema.Object, bool, error) {
	k := f.kind(group, plural)
	if k == nil || !keyable(k, namespace, name) {
		return nil, false, nil
	}
	if c := f.r.reads.caches.of(k); c != nil {
		c.use() // what one write asks for, the next one will
	}
	st, err := f.r.guess(ctx, target{k, namespace, name, objectKey(k, namespace, name)})
	if err != nil || st.item == nil {
		return nil, false, err
	}
	return st.item.Object(), true, nil
}

// Latest is admit.Reader's Latest.
func (f finder) Latest(ctx context.Context, group, plural, namespace, name string) (schema.Object, bool, error) {
	k := f.kind(group, plural)
	if k == nil || !keyable(k, namespace, name) {
		return nil, false, nil
	}
	st, err := f.r.read(ctx, target{k, namespace, name, objectKey(k, namespace, name)})
	if err != nil || st.item == nil {
		return nil, false, err
	}
	return st.item.Object(), true, nil
}

func (f finder) kind(group, plural string) *schema.Kind {
	return f.r.kinds.Set().Resource(group, plural)
}
