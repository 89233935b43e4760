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
	return admissionError(ctx, q.Kind, q.Name, admit.Run(ctx, objectReader{r}, q))
}

// admissionError is a rule's error as the registry's; nil stays nil.
func admissionError(ctx context.Context, k *schema.Kind, name string, err error) error {
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

// dependency is an object that a decision of admission relies on: its revision is compared when the other object is written.
type dependency struct {
	target
	rev    int64
	decide func(name string, obj schema.Object) error // decides on another state of it; nil: it is gone
}

// dependenciesOf are those that the rules have added to a request.
func (r *Registry) dependenciesOf(q *admit.Request) []dependency {
	var out []dependency
	for _, h := range q.Held {
		k := objectReader{r}.kind(h.Group, h.Plural)
		rev, err := strconv.ParseInt(h.ResourceVersion, 10, 64)
		if k == nil || err != nil {
			continue // cannot happen: it was found
		}
		out = append(out, dependency{target{k, h.Namespace, h.Name, Key(k, h.Namespace, h.Name)}, rev, h.Again})
	}
	return out
}

// recheck reads the dependencies of a transaction that did not run although the object was as expected. changed tells that one was at another
// revision, which is compared from now on. It is an error where the decision is another one there.
func (r *Registry) recheck(ctx context.Context, u *guardedUpdate) (changed bool, err error) {
	for i := range u.dependencies {
		h := &u.dependencies[i]
		found, err := r.read(ctx, h.target)
		if err != nil {
			return false, about(u.kind, u.name, err)
		}
		if found.rev == h.rev {
			continue
		}
		h.rev, changed = found.rev, true
		var obj schema.Object
		if found.item != nil {
			obj = found.item.Object()
			r.results.keep(h.key, found.item) // for the next write, where the cache is behind for longer
		} else if found.rev != 0 {
			return true, &Error{Kind: Unreadable, Group: h.kind.Group, Resource: h.kind.Plural, KindName: h.kind.Kind, Name: h.name, Cause: found.bad}
		}
		if err := admissionError(ctx, u.kind, u.name, h.decide(h.name, obj)); err != nil {
			return true, err
		}
	}
	return changed, nil
}

// objectReader is the rules' view of other objects: the cache, and etcd for what the cache does not have (yet).
type objectReader struct{ r *Registry }

// Serves is admit.Reader's Serves.
func (o objectReader) Serves(group, plural string) bool { return o.kind(group, plural) != nil }

// Find is admit.Reader's Find.
func (o objectReader) Find(ctx context.Context, group, plural, namespace, name string) (schema.Object, bool, error) {
	k := o.kind(group, plural)
	if k == nil || !keyable(k, namespace, name) {
		return nil, false, nil
	}
	if c := o.r.reads.caches.of(k); c != nil {
		c.start() // what one write asks for, the next one will
	}
	st, err := o.r.latestKnown(ctx, target{k, namespace, name, Key(k, namespace, name)})
	if err != nil || st.item == nil {
		return nil, false, err
	}
	return st.item.Object(), true, nil
}

// Latest is admit.Reader's Latest.
func (o objectReader) Latest(ctx context.Context, group, plural, namespace, name string) (schema.Object, bool, error) {
	k := o.kind(group, plural)
	if k == nil || !keyable(k, namespace, name) {
		return nil, false, nil
	}
	st, err := o.r.read(ctx, target{k, namespace, name, Key(k, namespace, name)})
	if err != nil || st.item == nil {
		return nil, false, err
	}
	return st.item.Object(), true, nil
}

func (o objectReader) kind(group, plural string) *schema.Kind {
	return o.r.kinds.Set().Resource(group, plural)
}
