package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"gantry/registry/store"
)

// rulesVersion is the version of the rules that this binary's writes keep to. It rises when an older binary could
// harm what a newer one has written.
const rulesVersion = 1

// rules is the value of /gantry/version.
type rules struct {
	Rules int `json:"rules"`
}

// versioned is a Store that writes only while /gantry/version names no newer rules than this binary's: every
// transaction compares the key, so an older binary stands aside from the very moment a newer one has raised it.
type versioned struct {
	store.Store
	log *slog.Logger

	mu    sync.Mutex // guards what follows
	known bool
	rev   int64 // the key's mod revision
	fault error // why this binary stands aside
}

// see takes note of what the key holds.
func (v *versioned) see(kv *store.KV) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var now rules
	v.known, v.rev = true, 0
	if kv != nil {
		v.rev = kv.ModRevision
		if err := json.Unmarshal(kv.Value, &now); err != nil {
			v.log.Warn("version of the rules not readable, ignored", "key", store.VersionKey, "rv", kv.ModRevision, "err", err)
			now.Rules = 0
		}
	}
	before := v.fault
	if v.fault = nil; now.Rules > rulesVersion {
		v.fault = &Error{Kind: Unavailable, Reason: fmt.Sprintf(
			"the cluster is at version %d of the rules (%s), this gantry knows version %d: it stands aside, upgrade it", now.Rules, store.VersionKey, rulesVersion)}
		if before == nil {
			v.log.Error("newer rules found, this binary writes nothing", "key", store.VersionKey, "rv", v.rev, "err", v.fault)
		}
	}
}

// allowed returns the revision that a write must find.
func (v *versioned) allowed(ctx context.Context) (int64, error) {
	v.mu.Lock()
	known, rev, fault := v.known, v.rev, v.fault
	v.mu.Unlock()
	if known && fault == nil {
		return rev, nil
	}
	return v.look(ctx)
}

// look reads the key.
func (v *versioned) look(ctx context.Context) (int64, error) {
	kv, _, err := v.Store.Get(ctx, store.VersionKey, 0)
	if err != nil {
		return 0, err
	}
	v.see(kv)
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rev, v.fault
}

// standing is why this binary stands aside; nil: it does not.
func (v *versioned) standing() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fault
}

// Commit is Store's Commit; Unavailable where this binary stands aside.
func (v *versioned) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	own := t.Compares
	for {
		rev, err := v.allowed(ctx)
		if err != nil {
			return store.TxnResult{}, err
		}
		t.Compares = append(own[:len(own):len(own)], store.Compare{Key: store.VersionKey, Revision: rev})
		res, err := v.Store.Commit(ctx, t)
		if err != nil || res.Done {
			return res, err
		}
		now := res.Current[store.VersionKey]
		if (now == nil && rev == 0) || (now != nil && now.ModRevision == rev) {
			delete(res.Current, store.VersionKey)
			return res, nil
		}
		v.see(now)
	}
}

// raise writes this binary's version where an older one, none or rubbish stands.
func (v *versioned) raise(ctx context.Context) error {
	for {
		kv, _, err := v.Store.Get(ctx, store.VersionKey, 0)
		if err != nil {
			return err
		}
		v.see(kv)
		var now rules
		var rev int64
		if kv != nil {
			rev = kv.ModRevision
			if err := json.Unmarshal(kv.Value, &now); err == nil && now.Rules >= rulesVersion {
				return nil
			}
		}
		value, err := json.Marshal(rules{rulesVersion})
		if err != nil {
			return err
		}
		res, err := v.Store.Commit(ctx, store.Txn{
			Compares: []store.Compare{{Key: store.VersionKey, Revision: rev}},
			Puts:     []store.Put{{Key: store.VersionKey, Value: value}},
		})
		if err != nil {
			return err
		}
		if res.Done {
			v.see(&store.KV{Key: store.VersionKey, Value: value, ModRevision: res.Revision})
			return nil
		}
	}
}
