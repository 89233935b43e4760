package store

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
)

// RulesVersion is the version of the rules that this binary's writes keep to. It rises when an older binary could
// harm what a newer one has written.
const RulesVersion = 1

// rules is the value of /gantry/version.
type rules struct {
	Rules int `json:"rules"`
}

// VersionGuard is a Store that writes only while /gantry/version names no newer rules than this binary's: every
// transaction compares the key, so an older binary cannot write from the revision on at which a newer one has raised it.
type VersionGuard struct {
	Store
	log *slog.Logger

	mu    sync.Mutex // guards what follows
	known bool
	rev   int64 // the key's mod revision
	err   error // why this binary writes nothing
}

// NewVersionGuard guards the writes of a store.
func NewVersionGuard(s Store, log *slog.Logger) *VersionGuard {
	return &VersionGuard{Store: s, log: log}
}

// observe notes the key's state.
func (v *VersionGuard) observe(kv *KV) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var now rules
	v.known, v.rev = true, 0
	if kv != nil {
		v.rev = kv.ModRevision
		if err := json.Unmarshal(kv.Value, &now); err != nil {
			v.log.Warn("version of the rules not readable, ignored", "key", VersionKey, "rv", kv.ModRevision, "err", err)
			now.Rules = 0
		}
	}
	before := v.err
	if v.err = nil; now.Rules > RulesVersion {
		v.err = &Error{Kind: Unavailable, Reason: fmt.Sprintf(
			"the cluster is at version %d of the rules (%s), this gantry knows version %d: it stands aside, upgrade it", now.Rules, VersionKey, RulesVersion)}
		if before == nil {
			v.log.Error("newer rules found, this binary writes nothing", "key", VersionKey, "rv", v.rev, "err", v.err)
		}
	}
}

// expectedRevision returns the revision of the key that a write compares; the error is why this binary may not write.
func (v *VersionGuard) expectedRevision(ctx context.Context) (int64, error) {
	v.mu.Lock()
	known, rev, err := v.known, v.rev, v.err
	v.mu.Unlock()
	if known && err == nil {
		return rev, nil
	}
	return v.Check(ctx)
}

// Check reads the key. The error is why this binary may not write, or that the key cannot be read.
func (v *VersionGuard) Check(ctx context.Context) (int64, error) {
	kv, _, err := v.Store.Get(ctx, VersionKey, 0)
	if err != nil {
		return 0, err
	}
	v.observe(kv)
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rev, v.err
}

// Refused is why this binary writes nothing, as far as is known; nil: it may.
func (v *VersionGuard) Refused() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Commit is Store's Commit; Unavailable where this binary may not write.
func (v *VersionGuard) Commit(ctx context.Context, t Txn) (TxnResult, error) {
	compares := t.Compares
	for {
		rev, err := v.expectedRevision(ctx)
		if err != nil {
			return TxnResult{}, err
		}
		t.Compares = append(compares[:len(compares):len(compares)], Compare{Key: VersionKey, Revision: rev})
		res, err := v.Store.Commit(ctx, t)
		if err != nil || res.Done {
			return res, err
		}
		now := res.Current[VersionKey]
		if (now == nil && rev == 0) || (now != nil && now.ModRevision == rev) {
			delete(res.Current, VersionKey)
			return res, nil
		}
		v.observe(now)
	}
}

// Raise writes this binary's version where the key has an older one, none, or a value that cannot be read.
func (v *VersionGuard) Raise(ctx context.Context) error {
	for {
		kv, _, err := v.Store.Get(ctx, VersionKey, 0)
		if err != nil {
			return err
		}
		v.observe(kv)
		var now rules
		var rev int64
		if kv != nil {
			rev = kv.ModRevision
			if err := json.Unmarshal(kv.Value, &now); err == nil && now.Rules >= RulesVersion {
				return nil
			}
		}
		value, err := json.Marshal(rules{RulesVersion})
		if err != nil {
			return err
		}
		res, err := v.Store.Commit(ctx, Txn{
			Compares: []Compare{{Key: VersionKey, Revision: rev}},
			Puts:     []Put{{Key: VersionKey, Value: value}},
		})
		if err != nil {
			return err
		}
		if res.Done {
			v.observe(&KV{Key: VersionKey, Value: value, ModRevision: res.Revision})
			return nil
		}
	}
}
