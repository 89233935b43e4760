package registry

import (
	"context"
	"errors"

	"gantry/registry/admit"
	"gantry/schema"
)

// admit runs the rules of admission. A node's registry writes nothing but its heartbeat and may not read what the
// rules look at: it runs none.
func (r *Registry) admit(ctx context.Context, q *admit.Request) error {
	if r.cfg.Node != "" {
		return nil
	}
	err := admit.Run(ctx, finder{r}, q)
	var denied *admit.Denied
	var missing *admit.Missing
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		e := fault(q.Kind, q.Name, Forbidden, "")
		e.Reason, e.Causes = denied.Reason, denied.Causes
		return e
	case errors.As(err, &missing):
		return &Error{Kind: NotFound, Group: missing.Group, Resource: missing.Resource, KindName: missing.Kind, Name: missing.Name}
	case ctx.Err() != nil:
		return ctxError(ctx)
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Kind: Unavailable, Group: q.Kind.Group, Resource: q.Kind.Plural, KindName: q.Kind.Kind, Name: q.Name, Cause: err}
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
	f.r.cache(k).use() // what one write asks for, the next one will
	st, err := f.r.guess(ctx, target{k, namespace, name, objectKey(k, namespace, name)})
	if err != nil || st.item == nil {
		return nil, false, err
	}
	return st.item.Object(), true, nil
}

func (f finder) kind(group, plural string) *schema.Kind {
	for _, k := range f.r.kinds.All {
		if k.Group == group && k.Plural == plural {
			return k
		}
	}
	return nil
}
