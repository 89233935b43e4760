package bynode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gantry/registry/safely"
	"gantry/registry/store"
)

// repairEvery is how often mismatches are checked.
const repairEvery = 250 * time.Millisecond

// listPage is how many keys are read from etcd at a time.
const listPage = 1000

// relistPause is the pause before the copies are listed again after an error.
const relistPause = 2 * time.Second

// Repairer keeps copies in step with pods.
type Repairer struct {
	Store store.Store
	Log   *slog.Logger
	// Follow calls f for every pod and every change of one, with the node that it is bound to, until ctx is done. gone: the pod is deleted.
	Follow func(ctx context.Context, f func(namespace, name, node string, revision int64, gone bool)) error
	// NodeOf reads from a pod's value the node that it is bound to.
	NodeOf func(kv *store.KV) (string, error)
	// Report, where set, is called with a sentence, once a minute, while copies without pods are kept.
	Report func(text string)
}

// Run repairs until ctx is done. A copy that is missing or wrong is written again together with its pod (both get a new revision, equal
// again); one without its pod is deleted.
//
// Where more than 10 copies and more than a tenth of all have lost their pods at once, they are not deleted: an accidental
// `etcdctl del --prefix /registry/pods` is likelier than the intention to stop all pods. The copies, and with them the containers, then stay until
// the pods are back or the copies are deleted by hand.
func (r Repairer) Run(ctx context.Context) error {
	m := newMismatches()
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error {
		_ = r.Follow(ctx, func(namespace, name, node string, revision int64, gone bool) { // its only error is ctx's
			var want *wanted
			if !gone {
				want = &wanted{Key(node, namespace, name), revision}
			}
			m.setPod(namespace+"/"+name, want, time.Now())
		})
		return nil
	})
	g.Go(func() error {
		return safely.Keep(ctx, r.Log, "following by-node copies", func(ctx context.Context) error { return r.followCopies(ctx, m) })
	})
	g.Go(func() error {
		return safely.Keep(ctx, r.Log, "repairing by-node copies", func(ctx context.Context) error { return r.repair(ctx, m) })
	})
	return g.Wait()
}

// followCopies puts every copy and every change of one into m. It lists again after any error.
func (r Repairer) followCopies(ctx context.Context, m *mismatches) error {
	for {
		err := r.streamCopies(ctx, m)
		if ctx.Err() != nil {
			return nil
		}
		r.Log.Warn("watch of by-node copies lost", "after", relistPause, "err", err)
		select {
		case <-time.After(relistPause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (r Repairer) streamCopies(ctx context.Context, m *mismatches) error {
	m.startList()
	start, end, rev := Root, store.RangeEnd(Root), int64(0)
	for {
		kvs, count, now, err := r.Store.List(ctx, start, end, listPage, rev)
		if err != nil {
			return err
		}
		if rev == 0 {
			rev = now
		}
		for _, kv := range kvs {
			if pod, ok := podOf(kv.Key); ok {
				m.setCopy(pod, kv.Key, kv.ModRevision, time.Now())
			}
		}
		if int64(len(kvs)) == count || len(kvs) == 0 {
			break
		}
		start = kvs[len(kvs)-1].Key + "\x00"
	}
	m.endList(time.Now())
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for b := range r.Store.Watch(wctx, Root, end, rev+1, false) {
		if b.Err != nil {
			return b.Err
		}
		for _, e := range b.Events {
			pod, ok := podOf(e.KV.Key)
			switch {
			case ok && e.Delete:
				m.deleteCopy(pod, e.KV.Key, time.Now())
			case ok:
				m.setCopy(pod, e.KV.Key, e.KV.ModRevision, time.Now())
			}
		}
	}
	return errors.New("the watch ended")
}

// repair checks the pods that have not matched for a while.
func (r Repairer) repair(ctx context.Context, m *mismatches) error {
	tick := time.NewTicker(repairEvery)
	defer tick.Stop()
	var reported time.Time
	for {
		select {
		case <-tick.C:
			pods, kept := m.due(time.Now())
			if kept > 0 && time.Since(reported) > time.Minute {
				reported = time.Now()
				r.reportKept(kept)
			}
			for _, pod := range pods {
				if err := r.repairPod(ctx, pod, m); err != nil && ctx.Err() == nil {
					namespace, name := split(pod)
					r.Log.Warn("repair of a by-node copy put off", "ns", namespace, "name", name, "err", err)
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (r Repairer) reportKept(pods int) {
	r.Log.Error("pods vanished from etcd, their containers are kept", "pods", pods,
		"reason", "many pods were deleted past the API; restore them, or delete their keys below "+Root)
	if r.Report != nil {
		r.Report(fmt.Sprintf("%d pods vanished from etcd without being deleted through the API: their containers are kept until they are restored, or their keys below %s are deleted", pods, Root))
	}
}

// repairPod reads a pod and its copies from the store, and corrects the copies.
func (r Repairer) repairPod(ctx context.Context, pod string, m *mismatches) error {
	kv, _, err := r.Store.Get(ctx, podPrefix+pod, 0)
	if err != nil {
		return err
	}
	namespace, name := split(pod)
	txn := store.Txn{Compares: []store.Compare{{Key: podPrefix + pod}}}
	want, node := "", ""
	if kv != nil {
		txn.Compares[0].Revision = kv.ModRevision
		if node, err = r.NodeOf(kv); err != nil {
			m.postpone(pod, time.Now()) // the copy is the last that could be read: the node goes on with it
			return nil
		}
		want = Key(node, namespace, name)
	}
	if want != "" {
		found, _, err := r.Store.Get(ctx, want, 0)
		if err != nil {
			return err
		}
		if found == nil || found.ModRevision != kv.ModRevision {
			txn.Puts = []store.Put{{Key: kv.Key, Value: kv.Value}, {Key: want, Value: kv.Value}}
		}
	}
	for _, key := range m.copiesOf(pod) {
		if key != want {
			txn.Deletes = append(txn.Deletes, key)
		}
	}
	if len(txn.Puts) == 0 && len(txn.Deletes) == 0 {
		m.postpone(pod, time.Now()) // they match
		return nil
	}
	res, err := r.Store.Commit(ctx, txn)
	if err != nil {
		return fmt.Errorf("writing the copy of pod %s: %w", pod, err)
	}
	m.postpone(pod, time.Now())
	if res.Done {
		r.Log.Info("by-node copy repaired", "ns", namespace, "name", name, "node", node, "rv", res.Revision)
	}
	return nil
}
