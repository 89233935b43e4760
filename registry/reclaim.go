package registry

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/store"
)

// reclaimEvery is how often claims are compared with the Services.
const reclaimEvery = time.Minute

// RepairClaims keeps the claims on cluster IPs and node ports in step with Services that were written past the
// registry, until ctx is done. A leader runs it. A claim that is missing is made; one whose Service is gone or uses
// something else is deleted; of two Services with one address the claim's holder keeps it, which is logged.
func (r *Registry) RepairClaims(ctx context.Context) error {
	log := r.cfg.Log.With("agent", r.cfg.Agent, "controller", "claims")
	for {
		if err := r.reclaim(ctx, log); err != nil && ctx.Err() == nil {
			log.Warn("repair of claims put off", "after", reclaimEvery, "err", err)
		}
		select {
		case <-time.After(reclaimEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// reclaim is one comparison.
func (r *Registry) reclaim(ctx context.Context, log *slog.Logger) error {
	k := r.kinds.Set().Resource("", "services")
	if k == nil {
		return nil
	}
	held := map[string]*store.KV{}
	for _, prefix := range []string{addressPrefix, nodePortPrefix} {
		kvs, _, _, err := r.store.List(ctx, prefix, store.RangeEnd(prefix), 0, 0)
		if err != nil {
			return err
		}
		for _, kv := range kvs {
			held[kv.Key] = kv
		}
	}
	// The Services are read after the claims: one made in between is missed by neither.
	list, err := r.List(ctx, k, "", ListOptions{})
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, it := range list.Items {
		o := owner{it.Namespace, it.Name}
		for key := range keysOf(it.Object().(*corev1.Service).Spec) {
			used[key] = true
			if err := r.reclaimOne(ctx, log, it, o, key, held[key]); err != nil {
				return err
			}
		}
	}
	for key, kv := range held {
		if used[key] {
			continue
		}
		if err := r.unclaim(ctx, log, key, kv); err != nil {
			return err
		}
	}
	return nil
}

// reclaimOne makes sure of one claim that a Service stands on.
func (r *Registry) reclaimOne(ctx context.Context, log *slog.Logger, it *Item, o owner, key string, kv *store.KV) error {
	txn := store.Txn{Compares: []store.Compare{{Key: serviceKey(o), Revision: it.Revision}}}
	switch {
	case kv == nil:
		txn.Compares = append(txn.Compares, store.Compare{Key: key})
	case ownerOf(kv) == o:
		return nil
	default:
		by := ownerOf(kv)
		if by != (owner{}) {
			rev, uses, err := r.uses(ctx, by, key)
			if err != nil {
				return err
			}
			if uses {
				log.Warn("two services use one address or port", "ns", o.Namespace, "name", o.Name,
					"key", key, "holder", by.Namespace+"/"+by.Name)
				return nil
			}
			txn.Compares = append(txn.Compares, store.Compare{Key: serviceKey(by), Revision: rev})
		}
		txn.Compares = append(txn.Compares, store.Compare{Key: key, Revision: kv.ModRevision})
	}
	c := &claims{owner: o}
	value, err := c.value(key)
	if err != nil {
		return err
	}
	txn.Puts = []store.Put{{Key: key, Value: value}}
	res, err := r.store.Commit(ctx, txn)
	if err == nil && res.Done {
		log.Info("claim made", "ns", o.Namespace, "name", o.Name, "key", key)
	}
	return err
}

// unclaim deletes a claim that nobody stands on.
func (r *Registry) unclaim(ctx context.Context, log *slog.Logger, key string, kv *store.KV) error {
	o := ownerOf(kv)
	if o == (owner{}) {
		return nil // not a Service's; who asks for it by name gets it
	}
	rev, uses, err := r.uses(ctx, o, key)
	if err != nil || uses {
		return err
	}
	txn := store.Txn{
		Compares: []store.Compare{{Key: key, Revision: kv.ModRevision}, {Key: serviceKey(o), Revision: rev}},
		Deletes:  []string{key},
	}
	res, err := r.store.Commit(ctx, txn)
	if err == nil && res.Done {
		log.Info("claim deleted", "key", key, "reason", "no service uses it")
	}
	return err
}
