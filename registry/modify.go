package registry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"gantry/schema"
)

// Modify reads, changes a copy, swaps, and repeats on conflict (not when o.ResourceVersion is given). change
// may alter current, which is its own copy, and return it, or return another object. Equal: nothing is written.
// An object returned with another resourceVersion or uid than current's is a Conflict, as in Update.
func (r *Registry) Modify(ctx context.Context, k *schema.Kind, namespace, name string, change func(current schema.Object) (schema.Object, error), o WriteOptions) (*Item, error) {
	t, err := targetOf(k, namespace, name)
	if err != nil {
		return nil, err
	}
	rev, err := revisionOf(t, o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	return r.write(ctx, &write{target: t, options: o, want: wish{rev: rev, uid: o.UID}, change: change})
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
	return r.write(ctx, &write{target: t, options: o, want: wish{rev: rev, uid: o.UID}, patch: change})
}

// write is one update of one object, as often as it takes.
type write struct {
	target
	options WriteOptions
	want    wish
	// change makes the new object of its own copy of the current one; nil where blind is set.
	change func(current schema.Object) (schema.Object, error)
	// patch, where set, is instead of change.
	patch func(current *Item) (schema.Object, error)
	// blind tells that change does not look at what is there.
	blind bool
	// absent, where set, is what to do when there is no object; Exists makes the write start again.
	absent func() (*Item, error)
	// replace tells that the whole object is written, so that a value nobody can read may be replaced.
	replace bool
}

// write decides on the newest state known without asking, and swaps; who is beaten goes on from the state that beat
// him. An error that rests on anything but a live state is decided again on one.
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
			leave, err = r.writes.enter(ctx, w.key)
		}
		return err
	}
	if r.writes.contended(w.key) {
		if err := queue(); err != nil {
			return nil, err
		}
	}
	if w.want.rev != 0 {
		land, err := r.writes.takeOff(ctx, w.key, w.want.rev)
		if err != nil {
			return nil, err
		}
		defer land()
	}
	st, err := r.first(ctx, w)
	if err != nil {
		return nil, about(w.kind, w.name, err)
	}
	for lost := 0; ; {
		it, met, err := r.attempt(ctx, w, st)
		var again *again
		switch {
		case errors.As(err, &again) && st.live:
			return nil, again.err
		case errors.As(err, &again) || errors.Is(err, errRace):
			if st, err = r.read(ctx, w.target); err != nil {
				return nil, about(w.kind, w.name, err)
			}
		case err != nil:
			return nil, err
		case met == nil:
			return it, nil
		default:
			st = *met
			lost++
			if err := pause(ctx, lost); err != nil {
				return nil, err
			}
			if err := queue(); err != nil {
				return nil, err
			}
			if newer := r.writes.get(w.key); newer != nil && newer.Revision > st.rev {
				st = state{item: newer, rev: newer.Revision} // those before us in the queue were here meanwhile
			}
		}
	}
}

// first is the state a write starts from.
func (r *Registry) first(ctx context.Context, w *write) (state, error) {
	if w.options.DryRun {
		return r.read(ctx, w.target) // nothing will check what is decided
	}
	return r.guess(ctx, w.target)
}

// errRace makes a write start over: an object came into being while it was about to be created.
var errRace = errors.New("created meanwhile")

// again wraps an error that a decision led to: on an old state it does not count.
type again struct{ err error }

func (a *again) Error() string { return a.err.Error() }

// attempt decides on a state and swaps. Errors of the decision are *again.
func (r *Registry) attempt(ctx context.Context, w *write, st state) (*Item, *state, error) {
	s, it, err := r.decide(ctx, w, st)
	if s == nil {
		return it, nil, err
	}
	return r.run(ctx, s)
}

// decide is what to swap for a state; nil: there is nothing to swap, it or err is the result.
func (r *Registry) decide(ctx context.Context, w *write, st state) (*swap, *Item, error) {
	switch {
	case w.want.stale(st):
		return nil, nil, w.fault(Conflict, modified)
	case st.rev == 0 && w.absent != nil && st.live:
		return r.decideAbsent(w)
	case st.rev == 0:
		return nil, nil, &again{notFound(w.kind, w.name)}
	case w.blind && w.want.rev == 0 && !w.kind.UnconditionalUpdate:
		return nil, nil, &again{unsaid(w.target)}
	case st.item == nil && !w.replace:
		e := w.fault(Unreadable, "")
		e.Cause = st.bad
		return nil, nil, &again{e}
	}
	if err := w.want.check(w.target, st); err != nil {
		return nil, nil, &again{err}
	}
	if st.item == nil {
		return r.decideUnreadable(ctx, w, st)
	}
	old, err := st.item.object() // not own: whoever follows the kind wants it next
	if err != nil {
		return nil, nil, &again{err}
	}
	obj, err := w.apply(st.item, old)
	if err != nil {
		return nil, nil, &again{err}
	}
	want, err := wanted(w.target, obj, WriteOptions{})
	if err == nil {
		err = want.check(w.target, st)
	}
	if err != nil {
		return nil, nil, &again{err}
	}
	if err := r.prepareUpdate(ctx, w.target, obj, old, w.options.Subresource); err != nil {
		return nil, nil, &again{err}
	}
	w.options.warn(w.kind, obj, old)
	return &swap{
		target: w.target, old: st, obj: obj, dryRun: w.options.DryRun, decoded: w.options.Decoded, remove: leaves(w.kind, obj, old),
	}, nil, nil
}

// apply makes the new object; old is current's decoded form.
func (w *write) apply(current *Item, old schema.Object) (schema.Object, error) {
	switch {
	case w.patch != nil:
		return w.patch(current)
	case w.blind:
		return w.change(nil)
	}
	return w.change(own(old))
}

func (r *Registry) decideAbsent(w *write) (*swap, *Item, error) {
	it, err := w.absent()
	if errors.Is(err, Exists) && !w.options.DryRun {
		return nil, nil, errRace
	}
	return nil, it, err
}

// decideUnreadable puts an object in the place of a value that is none, as if it were new; with the uid that it had before the value
// was spoilt, where the store knows it. No other uid is taken from the writer.
func (r *Registry) decideUnreadable(ctx context.Context, w *write, st state) (*swap, *Item, error) {
	uid, err := r.lastUID(ctx, w.key, st.rev)
	if err != nil {
		return nil, nil, about(w.kind, w.name, err)
	}
	if w.want.uid != "" && w.want.uid != uid {
		return nil, nil, w.fault(Conflict, uidMismatch, w.want.uid, uid)
	}
	obj, err := w.change(nil)
	if err != nil {
		return nil, nil, err
	}
	holds, err := r.prepareCreate(ctx, w.kind, obj)
	if err != nil {
		return nil, nil, err
	}
	if uid != "" {
		obj.SetUID(types.UID(uid))
	}
	return &swap{target: w.target, old: st, obj: obj, dryRun: w.options.DryRun, decoded: w.options.Decoded, holds: holds}, nil, nil
}

// The pause of a beaten writer before it tries again: within a process writers queue, this is between processes.
const (
	firstPause = time.Millisecond
	lastPause  = 64 * time.Millisecond
)

func pause(ctx context.Context, lost int) error {
	if lost == 1 {
		return nil
	}
	most := min(lastPause, firstPause<<min(lost-2, 6))
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(most))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctxError(ctx)
	}
}
