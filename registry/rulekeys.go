package registry

import (
	"context"
	"fmt"

	"gantry/registry/admit"
	"gantry/registry/store"
)

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
