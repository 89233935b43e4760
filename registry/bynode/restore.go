package bynode

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"gantry/registry/history"
	"gantry/registry/safely"
	"gantry/registry/store"
)

// Restoration is what Restore did.
type Restoration struct {
	// Restored are the pods that are there again, "<namespace>/<name>".
	Restored []string
	// Skipped says of pods that could not be put back why.
	Skipped map[string]error
}

// Orphans are the copies whose pods do not exist, at one revision, in the order of their keys.
func Orphans(ctx context.Context, s store.Store) ([]*store.KV, error) {
	rev, err := s.Revision(ctx)
	if err != nil {
		return nil, err
	}
	pods := map[string]bool{}
	err = eachKey(ctx, s, podPrefix, rev, func(kv *store.KV) { pods[kv.Key[len(podPrefix):]] = true })
	if err != nil {
		return nil, err
	}
	var orphans []*store.KV
	err = eachKey(ctx, s, Root, rev, func(kv *store.KV) {
		if pod, ok := podOf(kv.Key); ok && !pods[pod] {
			orphans = append(orphans, kv)
		}
	})
	return orphans, err
}

// eachKey calls f for every key below prefix at a revision.
func eachKey(ctx context.Context, s store.Store, prefix string, rev int64, f func(*store.KV)) error {
	for start, end := prefix, store.RangeEnd(prefix); ; {
		kvs, count, _, err := s.List(ctx, start, end, listPage, rev)
		if err != nil {
			return err
		}
		for _, kv := range kvs {
			f(kv)
		}
		if int64(len(kvs)) == count || len(kvs) == 0 {
			return nil
		}
		start = kvs[len(kvs)-1].Key + "\x00"
	}
}

// Restore puts the pods back that were deleted past the API and still have a copy: as they were, with uid, node and status. Their nodes' containers
// are theirs again. user is recorded as who did that. check returns what is wrong with a copy, which is then skipped.
//
// A pod that was made again meanwhile under its name stays as it is.
func Restore(ctx context.Context, s store.Store, user string, check func(copied *store.KV) error) (Restoration, error) {
	r := Restoration{Skipped: map[string]error{}}
	orphans, err := Orphans(ctx, s)
	if err != nil {
		return r, err
	}
	errs, done := make([]error, len(orphans)), make([]bool, len(orphans))
	g, gctx := safely.WithContext(ctx)
	g.SetLimit(parallelReads)
	for i, kv := range orphans {
		if errs[i] = check(kv); errs[i] != nil {
			continue
		}
		g.Go(func() (err error) {
			done[i], err = restoreOne(gctx, s, user, kv)
			return err
		})
	}
	err = g.Wait()
	for i, kv := range orphans {
		pod, _ := podOf(kv.Key)
		switch {
		case errs[i] != nil:
			r.Skipped[pod] = errs[i]
		case done[i]:
			r.Restored = append(r.Restored, pod)
		}
	}
	slices.Sort(r.Restored)
	return r, err
}

// restoreOne writes the pod of a copy, and the copy: both get one revision. done is false where either has changed.
func restoreOne(ctx context.Context, s store.Store, user string, kv *store.KV) (done bool, err error) {
	pod, _ := podOf(kv.Key)
	value := history.Append(bytes.TrimSpace(history.Strip(kv.Value)), history.Record{User: user, Time: history.Now()})
	res, err := s.Commit(ctx, store.Txn{
		Compares: []store.Compare{{Key: podPrefix + pod, Unread: true}, {Key: kv.Key, Revision: kv.ModRevision, Unread: true}},
		Puts:     []store.Put{{Key: podPrefix + pod, Value: value}, {Key: kv.Key, Value: value}},
	})
	if err != nil {
		return false, fmt.Errorf("restoring pod %s: %w", pod, err)
	}
	return res.Done, nil
}
