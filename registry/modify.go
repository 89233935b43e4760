package registry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"gantry/registry/history"
	"gantry/schema"
)

// Modify reads, changes a copy, replaces the object by it, and repeats on conflict (not when o.ResourceVersion is given). change
// may alter current, which is its own copy, and return it, or return another object. Equal: nothing is written.
// An object returned with another resourceVersion or uid than current's is a Conflict, as in Update.
func (r *Registry) Modify(ctx context.Context, k *schema.Kind, namespace, name string, change func(current schema.Object) (schema.Object, error), o WriteOptions) (*Item, error) {
	t, err := targetOf(k, namespace, name)
	if err != nil {
		return nil, err
	}
	return r.modify(ctx, t, change, o, nil)
}

func (r *Registry) modify(ctx context.Context, t target, change func(current schema.Object) (schema.Object, error), o WriteOptions, a *admission) (*Item, error) {
	rev, err := revisionOf(t, o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	return r.write(ctx, &write{target: t, options: o, want: preconditions{rev: rev, uid: o.UID}, change: change, admission: a})
}

// Patch is Modify for a change that is made of the item's bytes: current is shared and read-only, and change returns an
// object of its own.
func (r *Registry) Patch(ctx context.Context, k *schema.Kind, namespace, name string, change func(current *Item) (schema.Object, error), o WriteOptions) (*Item, error) {
	t, err := targetOf(k, namespace, name)
	if err != nil {
		return nil, err
	}
	rev, err := revisionOf(t, o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	return r.write(ctx, &write{target: t, options: o, want: preconditions{rev: rev, uid: o.UID}, patch: change})
}

// write is one update of one object, repeated on conflicts.
type write struct {
	target
	options WriteOptions
	want    preconditions
	// change makes the new object of its own copy of the current one; nil where blind is set.
	change func(current schema.Object) (schema.Object, error)
	// patch, where set, is instead of change.
	patch func(current *Item) (schema.Object, error)
	// blind tells that change does not read the current object.
	blind bool
	// absent, where set, is what to do when there is no object; Exists makes the write start again.
	absent func() (*Item, error)
	// admission, where set, is that of a body that was admitted before the object was read: a Binding.
	admission *admission
	// applied tells that patch keeps managedFields itself: it is server-side apply.
	applied bool
	// replace tells that the whole object is written, so that a value that cannot be read may be replaced.
	replace bool
}

// write decides on the latest state known without reading the store and makes the guarded update; after a conflict it goes on from the state that
// was found. An error that was decided on anything but a live state is decided again on one.
func (r *Registry) write(ctx context.Context, w *write) (*Item, error) {
	if err := r.checkServed(w.kind); err != nil {
		return nil, err
	}
	var leave func()
	defer func() {
		if leave != nil {
			leave()
		}
	}()
	queue := func() (err error) {
		if leave == nil && w.want.rev == 0 {
			if leave, err = r.queues.Enter(ctx, w.key); err != nil {
				return ctxError(ctx)
			}
		}
		return nil
	}
	if r.queues.Contended(w.key) {
		if err := queue(); err != nil {
			return nil, err
		}
	}
	if w.want.rev != 0 {
		release, err := r.queues.Acquire(ctx, w.key, w.want.rev)
		if err != nil {
			return nil, ctxError(ctx)
		}
		defer release()
	}
	st, err := r.startState(ctx, w)
	if err != nil {
		return nil, about(w.kind, w.name, err)
	}
	for conflicts := 0; ; {
		it, conflict, err := r.attempt(ctx, w, st)
		var decided *decisionError
		switch {
		case errors.As(err, &decided) && st.live:
			return nil, decided.err
		case errors.As(err, &decided) || errors.Is(err, errRace):
			if st, err = r.read(ctx, w.target); err != nil {
				return nil, about(w.kind, w.name, err)
			}
		case err != nil:
			return nil, err
		case conflict == nil:
			return it, nil
		default:
			st = *conflict
			conflicts++
			if err := pause(ctx, conflicts); err != nil { // of a writer in the queue holds it: one of a process competes with other processes
				return nil, err
			}
			if err := queue(); err != nil {
				return nil, err
			}
			if newer := r.results.get(w.key); newer != nil && newer.Revision > st.rev {
				st = state{item: newer, rev: newer.Revision} // of the writer before this one in the queue
			}
		}
	}
}

// startState is the state a write starts from.
func (r *Registry) startState(ctx context.Context, w *write) (state, error) {
	if w.options.DryRun {
		return r.read(ctx, w.target) // the store does not check the decision
	}
	return r.latestKnown(ctx, w.target)
}

// errRace makes a write start over: an object came into being while it was about to be created.
var errRace = errors.New("created meanwhile")

// decisionError wraps an error of a decision. It counts only where the decision was made on a live state.
type decisionError struct{ err error }

func (a *decisionError) Error() string { return a.err.Error() }

// attempt decides on a state and makes the guarded update. Errors of the decision are *decisionError.
func (r *Registry) attempt(ctx context.Context, w *write, st state) (*Item, *state, error) {
	u, it, err := r.decide(ctx, w, st)
	if u == nil {
		return it, nil, err
	}
	return r.execute(ctx, u)
}

// decide is the guarded update for a state; nil: there is nothing to update, and the item or err is the result.
func (r *Registry) decide(ctx context.Context, w *write, st state) (*guardedUpdate, *Item, error) {
	switch {
	case w.want.stale(st):
		return nil, nil, w.newError(Conflict, modified)
	case st.rev == 0 && w.absent != nil && st.live:
		return r.decideAbsent(w)
	case st.rev == 0:
		return nil, nil, &decisionError{notFound(w.kind, w.name)}
	case w.blind && w.want.rev == 0 && !w.kind.UnconditionalUpdate:
		return nil, nil, &decisionError{errNoResourceVersion(w.target)}
	case st.item == nil && !w.replace:
		e := w.newError(Unreadable, "")
		e.Cause = st.bad
		return nil, nil, &decisionError{e}
	}
	if err := w.want.check(w.target, st, w.options.DryRun); err != nil {
		return nil, nil, &decisionError{err}
	}
	if st.item == nil {
		return r.decideUnreadable(ctx, w, st)
	}
	o := w.options
	u := &guardedUpdate{target: w.target, old: st, dryRun: o.DryRun, decoded: o.Decoded, applied: w.applied, patched: w.patch != nil, admission: w.admission}
	if o.Version == nil && w.kind.AsWritten { // an agent's change: it needs no conversion
		o.Version = st.item.Version()
		u.as = o.Version
	}
	u.version = w.kind.RulesOf(o.Version).Stored()
	old, err := st.item.ObjectAs(ctx, u.version) // not a copy: followers of the kind read it next
	if err != nil {
		return nil, nil, &decisionError{err}
	}
	u.obj, err = w.apply(st.item, old)
	if err != nil {
		return nil, nil, &decisionError{err}
	}
	want, err := preconditionsOf(w.target, u.obj, WriteOptions{})
	if w.patch != nil {
		want.uid = "" // it is a field that may not change
	}
	if err == nil && w.patch != nil && !w.applied && want.rev == 0 && !w.kind.UnconditionalUpdate {
		err = errNoResourceVersion(w.target)
	}
	if err == nil {
		err = want.check(w.target, st, w.options.DryRun)
	}
	if err != nil {
		return nil, nil, &decisionError{err}
	}
	if err := r.prepareUpdate(ctx, u, old, o); err != nil {
		return nil, nil, &decisionError{err}
	}
	return u, nil, nil
}

// apply makes the new object; old is current's decoded form.
func (w *write) apply(current *Item, old schema.Object) (schema.Object, error) {
	switch {
	case w.patch != nil:
		return w.patch(current)
	case w.blind:
		return w.change(nil)
	}
	return w.change(deepCopy(old))
}

func (r *Registry) decideAbsent(w *write) (*guardedUpdate, *Item, error) {
	it, err := w.absent()
	if errors.Is(err, Exists) && !w.options.DryRun {
		return nil, nil, errRace
	}
	return nil, it, err
}

// decideUnreadable replaces a value that cannot be read by an object, as if that were new, with the uid that it had before, where the store knows
// it. No other uid is taken from the writer.
func (r *Registry) decideUnreadable(ctx context.Context, w *write, st state) (*guardedUpdate, *Item, error) {
	uid, err := history.LastUID(ctx, r.store, w.key, st.rev)
	if err != nil {
		return nil, nil, about(w.kind, w.name, err)
	}
	if w.want.uid != "" && w.want.uid != uid {
		return nil, nil, w.uidMismatch(w.want.uid, uid, w.options.DryRun)
	}
	obj, err := w.change(nil)
	if err != nil {
		return nil, nil, err
	}
	a, err := r.prepareCreate(ctx, w.kind, obj, w.options)
	if err != nil {
		return nil, nil, err
	}
	if uid != "" {
		obj.SetUID(types.UID(uid))
	}
	return &guardedUpdate{target: w.target, old: st, obj: obj, version: w.kind.RulesOf(w.options.Version).Stored(), dryRun: w.options.DryRun, decoded: w.options.Decoded, admission: a}, nil, nil
}

// The pause of a writer after a conflict. Writers of one process queue; this is for those of several processes.
const (
	firstPause = time.Millisecond
	lastPause  = 64 * time.Millisecond
)

func pause(ctx context.Context, conflicts int) error {
	if conflicts == 1 {
		return nil
	}
	most := min(lastPause, firstPause<<min(conflicts-2, 6))
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(most))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctxError(ctx)
	}
}
