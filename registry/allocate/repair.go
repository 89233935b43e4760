package allocate

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry/store"
)

// repairEvery is how often claims are compared with the Services.
const repairEvery = time.Minute

// Repair keeps the claims in step with Services that were written past the registry, until ctx is done. A leader runs it. A claim that
// is missing is made; one whose Service is gone or uses something else is deleted; of two Services with one address the claim's owner
// keeps it, which is logged.
func (s Services) Repair(ctx context.Context, log *slog.Logger) error {
	for {
		if err := s.repair(ctx, log); err != nil && ctx.Err() == nil {
			log.Warn("repair of claims put off", "after", repairEvery, "err", err)
		}
		select {
		case <-time.After(repairEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// repair is one comparison.
func (s Services) repair(ctx context.Context, log *slog.Logger) error {
	claimed := map[string]*store.KV{}
	for _, prefix := range []string{addressPrefix, nodePortPrefix} {
		kvs, _, _, err := s.Store.List(ctx, prefix, store.RangeEnd(prefix), 0, 0)
		if err != nil {
			return err
		}
		for _, kv := range kvs {
			claimed[kv.Key] = kv
		}
	}
	// The Services are read after the claims: one made in between is missed by neither.
	used := map[string]bool{}
	err := s.List(ctx, func(svc *corev1.Service, revision int64) error {
		for key := range keysOf(svc.Spec) {
			used[key] = true
			if err := s.ensureClaim(ctx, log, types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}, revision, key, claimed[key]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, kv := range claimed {
		if used[key] {
			continue
		}
		if err := s.deleteClaim(ctx, log, key, kv); err != nil {
			return err
		}
	}
	return nil
}

// ensureClaim makes sure of one claim of a Service; kv is the claim as it was listed.
func (s Services) ensureClaim(ctx context.Context, log *slog.Logger, owner types.NamespacedName, revision int64, key string, kv *store.KV) error {
	txn := store.Txn{Compares: []store.Compare{{Key: serviceKey(owner), Revision: revision}}}
	switch {
	case kv == nil:
		txn.Compares = append(txn.Compares, store.Compare{Key: key})
	case ownerOf(kv) == owner:
		return nil
	default:
		by := ownerOf(kv)
		if by != (types.NamespacedName{}) {
			rev, uses, err := s.uses(ctx, by, key)
			if err != nil {
				return err
			}
			if uses {
				log.Warn("two services use one address or port", "ns", owner.Namespace, "name", owner.Name, "key", key, "owner", by.String())
				return nil
			}
			txn.Compares = append(txn.Compares, store.Compare{Key: serviceKey(by), Revision: rev})
		}
		txn.Compares = append(txn.Compares, store.Compare{Key: key, Revision: kv.ModRevision})
	}
	value, err := valueOf(key, owner)
	if err != nil {
		return err
	}
	txn.Puts = []store.Put{{Key: key, Value: value}}
	res, err := s.Store.Commit(ctx, txn)
	if err == nil && res.Done {
		log.Info("claim made", "ns", owner.Namespace, "name", owner.Name, "key", key)
	}
	return err
}

// deleteClaim deletes a claim that no Service uses.
func (s Services) deleteClaim(ctx context.Context, log *slog.Logger, key string, kv *store.KV) error {
	owner := ownerOf(kv)
	if owner == (types.NamespacedName{}) {
		return nil // not a Service's; a Service that names the address may take it over
	}
	rev, uses, err := s.uses(ctx, owner, key)
	if err != nil || uses {
		return err
	}
	txn := store.Txn{
		Compares: []store.Compare{{Key: key, Revision: kv.ModRevision}, {Key: serviceKey(owner), Revision: rev}},
		Deletes:  []string{key},
	}
	res, err := s.Store.Commit(ctx, txn)
	if err == nil && res.Done {
		log.Info("claim deleted", "key", key, "reason", "no service uses it")
	}
	return err
}
