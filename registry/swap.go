package registry

import (
	"bytes"
	"context"
	"errors"

	"gantry/registry/store"
	"gantry/schema"
)

// maxValue is the largest object stored, in bytes: what etcd takes in one request (1.5 MiB) less its keys. A pod
// is stored twice in one transaction, see bynode.go.
const (
	maxRequest = 1536<<10 - 16<<10
	maxPod     = maxRequest / 2
)

// swap is one compare-and-swap of one object, decided and ready to be stored.
type swap struct {
	target
	old    state
	obj    schema.Object // what replaces old; its resourceVersion does not count
	stored schema.Object // obj as it is read again; set by encode
	remove bool          // obj is what is deleted, in its last state
	dryRun bool
	// decoded tells that obj is as it will be read again, see WriteOptions.
	decoded bool
	holds   []hold
}

// run stores s: the object and its companions in one transaction. lost is the state that was met instead of s.old; it
// is nil when the swap was made (or not needed: what is stored equals obj).
func (r *Registry) run(ctx context.Context, s *swap) (it *Item, lost *state, err error) {
	claims, err := r.claimsOf(ctx, s)
	if err != nil {
		return nil, nil, about(s.kind, s.name, err)
	}
	for moves := 0; ; {
		if err := claims.fill(ctx, r); err != nil {
			return nil, nil, about(s.kind, s.name, err)
		}
		value, err := s.encode()
		if err != nil {
			return nil, nil, err
		}
		if !s.remove && s.unchanged(value) {
			return r.confirm(ctx, s)
		}
		if s.dryRun {
			return s.item(value, s.old.rev), nil, nil
		}
		res, err := r.commit(ctx, s, value, claims)
		if err != nil {
			return nil, nil, about(s.kind, s.name, err)
		}
		if res.Done {
			it := s.item(value, res.Revision)
			if s.remove {
				r.writes.drop(s.key)
			} else {
				r.writes.keep(s.key, it)
			}
			return it, nil, nil
		}
		met := r.stateOf(s.target, res.Current[s.key])
		if met.rev != s.old.rev {
			r.writes.met(s.key, met.item)
			return nil, &met, nil
		}
		moved, err := r.renew(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		if !moved {
			claims.clashed(res.Current) // all was as expected but an address or port
			continue
		}
		moves++
		if err := pause(ctx, moves); err != nil {
			return nil, nil, err
		}
	}
}

// confirm ends a swap that changes nothing: true only if that is what the store holds now.
func (r *Registry) confirm(ctx context.Context, s *swap) (*Item, *state, error) {
	if s.old.live {
		return s.old.item, nil, nil
	}
	now, err := r.read(ctx, s.target)
	if err != nil {
		return nil, nil, about(s.kind, s.name, err)
	}
	if now.rev == s.old.rev {
		return s.old.item, nil, nil
	}
	return nil, &now, nil
}

// encode is the value to store.
func (s *swap) encode() ([]byte, error) {
	s.kind.SetTypeMeta(s.obj)
	s.obj.SetResourceVersion("")
	stored, value, err := schema.EncodeStored(s.kind.Stored(), s.obj)
	var bad *schema.ValueError
	switch {
	case errors.As(err, &bad):
		return nil, invalid(s.kind, s.name, bad.Faults)
	case err != nil:
		return nil, s.fault(BadRequest, "encoding the object: %v", err)
	}
	s.stored = stored
	limit := maxRequest
	if isPod(s.kind) {
		limit = maxPod
	}
	if len(value) > limit && !s.remove {
		return nil, s.fault(TooLarge, "the object takes %d bytes as JSON, limit is %d", len(value), limit)
	}
	return value, nil
}

func (s *swap) unchanged(value []byte) bool {
	return s.old.item != nil && sameBut(value, s.old.item.JSON)
}

// item is the object as it is served at a revision; 0 (a dry run's creation): without one.
func (s *swap) item(value []byte, revision int64) *Item {
	data := value
	if revision != 0 {
		if final, ok := setRevision(value, revision); ok {
			data = final
		}
	}
	return itemOf(s.kind, s.stored, data, revision, s.decoded)
}

// commit runs the transaction of s.
func (r *Registry) commit(ctx context.Context, s *swap, value []byte, claims *claims) (store.TxnResult, error) {
	t := store.Txn{Compares: append(make([]store.Compare, 0, 1+len(s.holds)), store.Compare{Key: s.key, Revision: s.old.rev})}
	for _, h := range s.holds {
		t.Compares = append(t.Compares, store.Compare{Key: h.key, Revision: h.rev, Unread: true})
	}
	by := r.stampOf(ctx, s.old.rev)
	if s.remove {
		t.Deletes = append(t.Deletes, s.key)
	} else {
		value = stamped(value, by)
		t.Puts = append(t.Puts, store.Put{Key: s.key, Value: value})
	}
	copyByNode(&t, s, value)
	if err := claims.add(&t); err != nil {
		return store.TxnResult{}, err
	}
	return r.settled(ctx, trace{s: s, value: value, by: by}, func(ctx context.Context) (store.TxnResult, error) {
		return r.commitDeletion(ctx, s, t, by)
	})
}

// commitDeletion runs a transaction and, where it deletes the object, writes down who does. A full etcd takes
// deletions but no puts: then that is left out.
func (r *Registry) commitDeletion(ctx context.Context, s *swap, t store.Txn, by Stamp) (store.TxnResult, error) {
	if !s.remove {
		return r.store.Commit(ctx, t)
	}
	text := deletion{Key: s.key, Stamp: by}.text()
	with := t
	with.Puts = append(t.Puts[:len(t.Puts):len(t.Puts)], store.Put{Key: deletedKey, Value: text})
	res, err := r.store.Commit(ctx, with)
	if !store.OutOfSpace(err) {
		return res, err
	}
	res, err = r.store.Commit(ctx, t)
	if err == nil && !res.Done && res.Current[s.key] == nil {
		// The write that met the quota is done all the same, and then refused.
		if kv, _, gerr := r.store.Get(ctx, deletedKey, 0); gerr == nil && kv != nil && bytes.Equal(kv.Value, text) {
			return store.TxnResult{Done: true, Revision: kv.ModRevision}, nil
		}
	}
	return res, err
}
