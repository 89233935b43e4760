package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"

	"gantry/registry/history"
	"gantry/registry/outcome"
	"gantry/registry/store"
	"gantry/schema"
)

// maxRequest is how large the values of one transaction may be together, in bytes: what etcd takes in one request (1.5 MiB) less the keys.
const maxRequest = 1536<<10 - 16<<10

// guardedUpdate is one write of one object that is decided and ready to be stored: obj replaces old in a transaction that compares old's revision.
type guardedUpdate struct {
	target
	old    state
	obj    schema.Object // what replaces old; its resourceVersion does not count
	stored schema.Object // obj as it is read again; set by encode
	// version is the one that obj is of, and as the one that it is stored in; nil: the one that the kind is stored in.
	version, as *schema.Version
	remove      bool // obj is what is deleted, in its last state
	dryRun      bool
	// decoded tells that obj is as it will be read again, see WriteOptions.
	decoded bool
	// patched tells that obj was made by a patch of any type.
	patched bool
	// applied tells that obj was made by server-side apply, its managedFields too.
	applied   bool
	admission *admission // nil: no rule concerns it
}

// execute stores the object and its companions in one transaction. conflict is the state that was found instead of u.old; it is nil where
// the object is stored, or need not be: what is stored equals obj.
func (r *Registry) execute(ctx context.Context, u *guardedUpdate) (it *Item, conflict *state, err error) {
	var comp companions
	h := r.hooksOf(u.kind)
	if h.companions != nil {
		if comp, err = h.companions(ctx, r, u); err != nil {
			return nil, nil, about(u.kind, u.name, err)
		}
	}
	defer u.admission.release()
	if err := u.convert(ctx); err != nil {
		return nil, nil, err
	}
	for asked := 0; ; {
		if comp != nil {
			if err := comp.fill(ctx); err != nil {
				return nil, nil, about(u.kind, u.name, err)
			}
		}
		limit := maxRequest / max(1, h.copies)
		value, err := u.encodeFitting(limit)
		if err != nil {
			return nil, nil, err
		}
		if !u.remove && u.changesNothing(value, limit) {
			return r.confirm(ctx, u)
		}
		if u.dryRun {
			return u.item(value, u.old.rev), nil, nil
		}
		if err := u.admission.await(ctx); err != nil {
			return nil, nil, err
		}
		res, err := r.commit(ctx, u, value, comp)
		if err != nil {
			u.admission.unknown()
			return nil, nil, about(u.kind, u.name, err)
		}
		if res.Done {
			u.admission.stored(res)
			it := u.item(value, res.Revision)
			if u.remove {
				r.results.drop(u.key)
			} else {
				r.results.keep(u.key, it)
			}
			return it, nil, nil
		}
		found := r.stateOf(u.target, res.Current[u.key])
		if found.rev != u.old.rev {
			r.results.replaced(u.key, found.item)
			return nil, &found, nil
		}
		again, err := u.admission.reinvoke(ctx, res)
		if err != nil {
			return nil, nil, err
		}
		if !again {
			if comp != nil {
				comp.onConflict(res.Current) // only a companion was not as expected
			}
			continue
		}
		if asked++; asked == maxReinvocations {
			return nil, nil, u.admission.tooManyReinvocations()
		}
	}
}

// confirm ends an update that changes nothing. The result stands only where the store has that state now.
func (r *Registry) confirm(ctx context.Context, u *guardedUpdate) (*Item, *state, error) {
	if u.old.live {
		return u.old.item, nil, nil
	}
	now, err := r.read(ctx, u.target)
	if err != nil {
		return nil, nil, about(u.kind, u.name, err)
	}
	if now.rev == u.old.rev {
		return u.old.item, nil, nil
	}
	return nil, &now, nil
}

// storedAs is the version that the object is stored in.
func (u *guardedUpdate) storedAs() *schema.Version { return cmp.Or(u.as, u.kind.Stored()) }

// convert makes u.obj an object of the version that it is stored in.
func (u *guardedUpdate) convert(ctx context.Context) error {
	from, to := cmp.Or(u.version, u.kind.Stored()), u.storedAs()
	if from == to {
		return nil
	}
	from.SetTypeMeta(u.obj)
	out, err := schema.Convert(ctx, u.kind, from, to, []schema.Object{u.obj})
	if err != nil {
		return conversionError(ctx, u.kind, from, err)
	}
	u.obj, u.version = out[0], to
	applyTo(to.Default, u.obj) // as when it is read
	return nil
}

// encode is the value to store; limit is how many bytes it may have.
func (u *guardedUpdate) encode(limit int) ([]byte, error) {
	u.storedAs().SetTypeMeta(u.obj)
	u.obj.SetResourceVersion("")
	stored, value, err := schema.EncodeStored(u.storedAs(), u.obj)
	var bad *schema.ValueError
	switch {
	case errors.As(err, &bad):
		return nil, invalid(u.kind, u.name, bad.Errs)
	case err != nil:
		return nil, u.newError(BadRequest, "encoding the object: %v", err)
	}
	u.stored = stored
	if len(value) > limit && !u.remove {
		return nil, u.newError(TooLarge, "the object takes %d bytes as JSON, limit is %d", len(value), limit)
	}
	return value, nil
}

func (u *guardedUpdate) unchanged(value []byte) bool {
	return u.old.item != nil && schema.EqualWithoutResourceVersion(value, u.old.item.JSON)
}

// item is the object as it is served at a revision; 0 (a dry run's creation): without one.
func (u *guardedUpdate) item(value []byte, revision int64) *Item {
	data := value
	if revision != 0 {
		if final, ok := schema.SetResourceVersion(value, revision); ok {
			data = final
		}
	}
	return itemOf(u.kind, u.stored, data, revision, u.decoded)
}

// commit runs the transaction of u.
func (r *Registry) commit(ctx context.Context, u *guardedUpdate, value []byte, comp companions) (store.TxnResult, error) {
	t := store.Txn{Compares: append(make([]store.Compare, 0, 2), store.Compare{Key: u.key, Revision: u.old.rev})}
	by := r.recordOf(ctx, u.old.rev)
	if u.remove {
		t.Deletes = append(t.Deletes, u.key)
	} else {
		value = history.Append(value, by)
		t.Puts = append(t.Puts, store.Put{Key: u.key, Value: value})
	}
	if comp != nil {
		if err := comp.add(&t, value); err != nil {
			return store.TxnResult{}, err
		}
	}
	if err := u.admission.addCompanions(ctx, &t); err != nil {
		return store.TxnResult{}, err
	}
	return outcome.Resolve(ctx, r.store, outcome.Write{Key: u.key, Value: value, Remove: u.remove, Record: by}, func(ctx context.Context) (store.TxnResult, error) {
		return r.commitRecorded(ctx, u, t, by)
	})
}

// commitRecorded runs the transaction. Where it deletes the object, it writes the record of that as well, which a full etcd does not take: it takes
// deletions and no puts. The record is then left out, and what admission puts.
func (r *Registry) commitRecorded(ctx context.Context, u *guardedUpdate, t store.Txn, by history.Record) (store.TxnResult, error) {
	if !u.remove {
		return r.store.Commit(ctx, t)
	}
	text := history.Deletion{Key: u.key, Record: by}.Encode()
	with := t
	with.Puts = append(t.Puts[:len(t.Puts):len(t.Puts)], store.Put{Key: history.DeletedKey, Value: text})
	res, err := r.store.Commit(ctx, with)
	if !store.OutOfSpace(err) {
		return res, err
	}
	t.Puts = nil
	res, err = r.store.Commit(ctx, t)
	if err == nil && !res.Done && res.Current[u.key] == nil {
		// etcd applies the write that reaches the quota, and refuses the following ones.
		if kv, _, gerr := r.store.Get(ctx, history.DeletedKey, 0); gerr == nil && kv != nil && bytes.Equal(kv.Value, text) {
			return store.TxnResult{Done: true, Revision: kv.ModRevision}, nil
		}
	}
	return res, err
}

// recordOf is the record of a write that replaces revision after.
func (r *Registry) recordOf(ctx context.Context, after int64) history.Record {
	return history.Record{User: r.userOf(ctx).Username, Time: history.Now(), After: after}
}
