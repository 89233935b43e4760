package registry

import (
	"context"
	"fmt"
	"path"
	"sync"
	"time"

	"gantry/registry/admit"
	"gantry/registry/history"
	"gantry/registry/store"
	"gantry/schema"
)

// keyState is the state of a key of a rule: its value, its revision (0: absent), and the store's revision at which it was so.
type keyState struct {
	value     []byte
	rev, seen int64
}

func keyStateOf(kv *store.KV, seen int64) keyState {
	if kv == nil {
		return keyState{seen: seen}
	}
	return keyState{kv.Value, kv.ModRevision, seen}
}

// ruleKeys are the keys of rules that this process has read or written last, so that a write need not read them first. The zero value is
// ready.
type ruleKeys struct {
	mu     sync.Mutex // guards states
	states map[string]keyState
}

const maxRuleKeys = 1024

func (rk *ruleKeys) get(key string) (keyState, bool) {
	rk.mu.Lock()
	defer rk.mu.Unlock()
	st, ok := rk.states[key]
	return st, ok
}

// forgetWritten drops what this process remembers of its last writes and reads: the store was restored to an earlier state.
func (r *Registry) forgetWritten() {
	r.results.forget()
	r.ruleKeys.forget()
}

// keep remembers a state unless a newer one is known.
func (rk *ruleKeys) keep(key string, st keyState) {
	rk.mu.Lock()
	defer rk.mu.Unlock()
	if old, ok := rk.states[key]; ok && old.seen > st.seen {
		return
	}
	if rk.states == nil || len(rk.states) >= maxRuleKeys {
		rk.states = map[string]keyState{}
	}
	rk.states[key] = st
}

// drop forgets a key that is known to be at rev.
func (rk *ruleKeys) drop(key string, rev int64) {
	rk.mu.Lock()
	defer rk.mu.Unlock()
	if rk.states[key].rev == rev {
		delete(rk.states, key)
	}
}

// forget forgets every key.
func (rk *ruleKeys) forget() {
	rk.mu.Lock()
	defer rk.mu.Unlock()
	rk.states = nil
}

// Get is admit.Reader's Get.
func (a *admission) Get(ctx context.Context, key admit.Key) (admit.KV, error) {
	st, known := a.known(key.String())
	if !known {
		kv, seen, err := a.registry.store.Get(ctx, key.String(), 0)
		if err != nil {
			return admit.KV{}, fmt.Errorf("reading %s: %w", key, err)
		}
		st = keyStateOf(kv, seen)
		a.keep(key.String(), st)
	}
	return admit.KV{Key: key, Value: st.value, Revision: st.rev}, nil
}

// Refresh is admit.Reader's Refresh.
func (a *admission) Refresh() bool {
	guessed := a.assumed
	if guessed {
		a.fresh, a.assumed = true, false
		clear(a.keys)
	}
	return guessed
}

// known is the newest state of a key that may be used without reading the store.
func (a *admission) known(key string) (keyState, bool) {
	own, ok := a.keys[key]
	shared, known := a.registry.ruleKeys.get(key)
	switch {
	case ok && known && shared.seen > own.seen:
		return shared, true
	case ok:
		return own, true
	case a.fresh || !known:
		return keyState{}, false
	}
	a.assumed = true
	return shared, true
}

// keep remembers the state of a key for this write and those that follow.
func (a *admission) keep(key string, st keyState) {
	if a.keys == nil {
		a.keys = map[string]keyState{}
	}
	a.keys[key] = st
	a.registry.ruleKeys.keep(key, st)
}

// changesKeys tells that the rules change keys in the write's transaction.
func (a *admission) changesKeys() bool {
	for i := range a.Companions() {
		if a.Companions()[i].Changes() {
			return true
		}
	}
	return false
}

// addCompanions adds what the rules have added to the write's transaction.
func (a *admission) addCompanions(ctx context.Context, t *store.Txn) error {
	if a == nil {
		return nil
	}
	for _, c := range a.Companions() {
		t.Compares = append(t.Compares, store.Compare{Key: c.Key, Revision: c.Revision, Unread: c.Kind != nil})
		switch {
		case c.Remove:
			t.Deletes = append(t.Deletes, c.Key)
		case c.Object != nil:
			value, err := a.encodeObject(ctx, &c)
			if err != nil {
				return err
			}
			t.Puts = append(t.Puts, store.Put{Key: c.Key, Value: value})
		case c.Changes():
			t.Puts = append(t.Puts, store.Put{Key: c.Key, Value: c.Value})
		}
	}
	return nil
}

// encodeObject is the value of an object that a rule changes.
func (a *admission) encodeObject(ctx context.Context, c *admit.Companion) ([]byte, error) {
	c.Kind.SetTypeMeta(c.Object)
	c.Object.SetResourceVersion("")
	_, value, err := schema.EncodeStored(c.Kind.Stored(), c.Object)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", c.Key, err)
	}
	return history.Append(value, a.registry.recordOf(ctx, c.Revision)), nil
}

// stored remembers the keys that a transaction has changed.
func (a *admission) stored(res store.TxnResult) {
	if a == nil {
		return
	}
	for _, c := range a.Companions() {
		switch {
		case c.Kind != nil:
		case c.Remove:
			a.registry.ruleKeys.keep(c.Key, keyState{seen: res.Revision})
		case c.Changes():
			a.registry.ruleKeys.keep(c.Key, keyState{c.Value, res.Revision, res.Revision})
		}
	}
}

// unknown forgets the keys that a transaction without an answer may have changed.
func (a *admission) unknown() {
	if a == nil {
		return
	}
	for _, c := range a.Companions() {
		if c.Kind == nil && c.Changes() {
			a.registry.ruleKeys.drop(c.Key, c.Revision)
		}
	}
}

// maxReinvocations is how often the rules of one write are called again because a companion has changed. There is no pause between: a writer
// of another process would change it meanwhile. A process has one writer of a key at a time, so that it does not lose this often in a row by chance.
const maxReinvocations = 100

// tooManyReinvocations is the error of a write whose companions have changed each time.
func (a *admission) tooManyReinvocations() error {
	e := newError(a.Kind, a.Name, TooManyRequests, "too many concurrent writes change what admission decides on, please try again")
	e.RetryAfter = time.Second
	return e
}

// reinvoke calls the rules again whose companions have changed, after a transaction that did not run although the object was as
// expected. reinvoked is false where no companion has changed.
func (a *admission) reinvoke(ctx context.Context, res store.TxnResult) (reinvoked bool, err error) {
	if a == nil {
		return false, nil
	}
	changed, contended, err := a.noteChanged(ctx, res)
	if err != nil || changed == nil {
		return false, err
	}
	if contended != "" {
		if err := a.enqueue(ctx, contended); err != nil {
			return false, err
		}
	}
	err = a.Reinvoke(ctx, a, func(c *admit.Companion) bool { return changed[c.Key] })
	return true, a.refused(ctx, err)
}

// noteChanged returns the companions that have changed, by key, and one of them that the rule changes. It remembers their states.
func (a *admission) noteChanged(ctx context.Context, res store.TxnResult) (changed map[string]bool, contended string, err error) {
	for _, c := range a.Companions() {
		rev := int64(0)
		if c.Kind != nil {
			rev, err = a.noteChangedObject(ctx, c)
		} else {
			st := keyStateOf(res.Current[c.Key], res.Revision)
			if st.rev != c.Revision {
				a.registry.ruleKeys.drop(c.Key, c.Revision) // also where the store was restored to an earlier state
			}
			a.keep(c.Key, st)
			rev = st.rev
		}
		switch {
		case err != nil:
			return nil, "", err
		case rev == c.Revision:
			continue
		case changed == nil:
			changed = map[string]bool{}
		}
		if changed[c.Key] = true; c.Kind == nil || c.Changes() {
			contended = c.Key
		}
	}
	return changed, contended, nil
}

// noteChangedObject returns the revision of an object in the store, and remembers its state where that is not c's.
func (a *admission) noteChangedObject(ctx context.Context, c admit.Companion) (int64, error) {
	r := a.registry
	now, err := r.read(ctx, target{kind: c.Kind, key: c.Key})
	switch {
	case err != nil:
		return 0, about(a.Kind, a.Name, err)
	case now.rev == c.Revision:
		return now.rev, nil
	case now.item == nil && now.rev != 0:
		return 0, &Error{Kind: Unreadable, Group: c.Kind.Group, Resource: c.Kind.Plural, KindName: c.Kind.Kind, Name: path.Base(c.Key), Cause: now.bad}
	case now.item != nil:
		r.results.keep(c.Key, now.item) // for the next write, where the cache is behind for longer
	}
	if a.newer == nil {
		a.newer = map[string]state{}
	}
	a.newer[c.Key] = now
	return now.rev, nil
}

// await queues a write, before its transaction, where other writes of this process wait for one of its keys, and calls the rules again
// where those have changed it. A write is in one such queue at most, so that two cannot wait for each other.
func (a *admission) await(ctx context.Context) error {
	if a == nil || a.leave != nil {
		return nil
	}
	for _, c := range a.Companions() {
		if c.Kind == nil && a.registry.queues.Contended(c.Key) {
			if err := a.enqueue(ctx, c.Key); err != nil {
				return err
			}
			return a.refused(ctx, a.Reinvoke(ctx, a, func(c *admit.Companion) bool {
				st, ok := a.registry.ruleKeys.get(c.Key)
				return c.Kind == nil && ok && st.rev != c.Revision
			}))
		}
	}
	return nil
}

func (a *admission) enqueue(ctx context.Context, key string) (err error) {
	if a.leave != nil {
		return nil
	}
	if a.leave, err = a.registry.queues.Enter(ctx, key); err != nil {
		return ctxError(ctx)
	}
	return nil
}

// release leaves the queue.
func (a *admission) release() {
	if a != nil && a.leave != nil {
		a.leave()
		a.leave = nil
	}
}

// RuleKey reads a key of a rule of admission from the store; at is the store's revision then.
func (r *Registry) RuleKey(ctx context.Context, key admit.Key) (_ admit.KV, at int64, err error) {
	kv, seen, err := r.store.Get(ctx, key.String(), 0)
	if err != nil {
		return admit.KV{}, 0, fromStore(fmt.Errorf("reading %s: %w", key, err))
	}
	st := keyStateOf(kv, seen)
	r.ruleKeys.keep(key.String(), st)
	return admit.KV{Key: key, Value: st.value, Revision: st.rev}, seen, nil
}

// ReplaceRuleKey gives a key of a rule another value, nil removes it; Conflict where the key is not as kv says.
func (r *Registry) ReplaceRuleKey(ctx context.Context, kv admit.KV, value []byte) (admit.KV, error) {
	key := kv.Key.String()
	t := store.Txn{Compares: []store.Compare{{Key: key, Revision: kv.Revision}}}
	if value == nil {
		t.Deletes = []string{key}
	} else {
		t.Puts = []store.Put{{Key: key, Value: value}}
	}
	res, err := r.store.Commit(ctx, t)
	switch {
	case err != nil:
		r.ruleKeys.drop(key, kv.Revision)
		return admit.KV{}, fromStore(fmt.Errorf("replacing %s: %w", key, err))
	case !res.Done:
		r.ruleKeys.keep(key, keyStateOf(res.Current[key], res.Revision))
		return admit.KV{}, &Error{Kind: Conflict, Reason: fmt.Sprintf("%s has changed", key)}
	case value == nil:
		r.ruleKeys.keep(key, keyState{seen: res.Revision})
		return admit.KV{Key: kv.Key}, nil
	}
	r.ruleKeys.keep(key, keyState{value, res.Revision, res.Revision})
	return admit.KV{Key: kv.Key, Value: value, Revision: res.Revision}, nil
}

// RuleKeys are the paths of the keys of a rule, below /gantry/admission/<rule>/.
func (r *Registry) RuleKeys(ctx context.Context, rule string) (paths []string, err error) {
	prefix := admit.KeyPrefix(rule)
	kvs, _, _, err := r.store.List(ctx, prefix, store.RangeEnd(prefix), 0, 0)
	if err != nil {
		return nil, fromStore(fmt.Errorf("listing %s: %w", prefix, err))
	}
	for _, kv := range kvs {
		paths = append(paths, kv.Key[len(prefix):])
	}
	return paths, nil
}
