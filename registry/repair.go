package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gantry/registry/safely"
	"gantry/registry/store"
)

const (
	// repairTick is how often suspicions are looked at.
	repairTick = 250 * time.Millisecond
	// repairAge is how old a suspicion must be: pods and copies come by two watches, one of which may be behind.
	repairAge = time.Second
	// brakeCount and brakeShare: more orphans than both are held, see RepairByNode.
	brakeCount = 10
	brakeShare = 0.1
)

// RepairByNode keeps the by-node copies in step with pods that were written past the registry, until ctx is done. A
// leader runs it. A copy that is missing or wrong is written again together with its pod (both get a new revision,
// equal again); one without its pod is deleted.
//
// A brake holds the last: where more than 10 copies and more than a tenth of all have lost their pods at once,
// somebody's `etcdctl del --prefix /registry/pods` is likelier than his will to stop the cluster. The copies, and
// with them the containers, then stay until the pods are back or the copies are deleted by hand. onHold, where set, is told
// so, in a sentence, once a minute.
func (r *Registry) RepairByNode(ctx context.Context, onHold func(text string)) error {
	k := r.kinds.Set().Resource("", "pods")
	if k == nil {
		return errors.New("repairing by-node copies: pods are not served")
	}
	d := &copyDesk{
		pods: map[string]podCopy{}, copies: map[string]map[string]int64{}, suspects: map[string]time.Time{},
		log: r.cfg.Log.With("agent", r.cfg.Agent, "controller", "bynode"), onHold: onHold,
	}
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error {
		_ = r.Follow(ctx, k, func(c Change) { d.take(podChange(c), time.Now()) }) // its only error is ctx's
		return nil
	})
	g.Go(func() error {
		return safely.Keep(ctx, d.log, "following by-node copies", func(ctx context.Context) error { return r.followCopies(ctx, d) })
	})
	g.Go(func() error {
		return safely.Keep(ctx, d.log, "repairing by-node copies", func(ctx context.Context) error { return r.repairCopies(ctx, target{kind: k}, d) })
	})
	return g.Wait()
}

// copyDesk is what is known of pods and copies. Both watches write it, and do not wait for a repair.
type copyDesk struct {
	onHold func(text string) // reports the brake; may be nil
	log    *slog.Logger
	held   time.Time // when the brake was last reported

	mu       sync.Mutex                  // guards all below
	pods     map[string]podCopy          // by "<ns>/<name>"
	copies   map[string]map[string]int64 // by "<ns>/<name>": the revisions of its copies by key
	suspects map[string]time.Time        // by "<ns>/<name>": since when something does not fit
	listed   bool                        // copies is complete
}

// podCopy is the copy a pod should have.
type podCopy struct {
	key string // "": none
	rev int64
}

// deskChange is news of a pod (copyKey "") or of a copy.
type deskChange struct {
	rest    string
	gone    bool
	pod     podCopy
	copyKey string
	copyRev int64
	listed  bool // all copies there were have been told
	forget  bool // the copies will be told anew
}

func podChange(c Change) deskChange {
	if c.New == nil {
		return deskChange{rest: c.Old.Namespace + "/" + c.Old.Name, gone: true}
	}
	pod := podCopy{key: c.New.nodeCopy(), rev: c.New.Revision}
	return deskChange{rest: c.New.Namespace + "/" + c.New.Name, pod: pod}
}

// followCopies tells d of every copy and every change of one. It lists again after whatever goes wrong.
func (r *Registry) followCopies(ctx context.Context, d *copyDesk) error {
	for {
		err := r.streamCopies(ctx, func(c deskChange) { d.take(c, time.Now()) })
		if ctx.Err() != nil {
			return nil
		}
		d.log.Warn("watch of by-node copies lost", "after", lastRewatch, "err", err)
		select {
		case <-time.After(lastRewatch):
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Registry) streamCopies(ctx context.Context, send func(deskChange)) error {
	send(deskChange{forget: true})
	start, end, rev := bynodePrefix, store.RangeEnd(bynodePrefix), int64(0)
	for {
		kvs, count, now, err := r.store.List(ctx, start, end, listPage, rev)
		if err != nil {
			return err
		}
		if rev == 0 {
			rev = now
		}
		for _, kv := range kvs {
			if rest, ok := copyRest(kv.Key); ok {
				send(deskChange{rest: rest, copyKey: kv.Key, copyRev: kv.ModRevision})
			}
		}
		if int64(len(kvs)) == count || len(kvs) == 0 {
			break
		}
		start = kvs[len(kvs)-1].Key + "\x00"
	}
	send(deskChange{listed: true})
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for b := range r.store.Watch(wctx, bynodePrefix, end, rev+1, false) {
		if b.Err != nil {
			return b.Err
		}
		for _, e := range b.Events {
			if rest, ok := copyRest(e.KV.Key); ok {
				send(deskChange{rest: rest, copyKey: e.KV.Key, copyRev: e.KV.ModRevision, gone: e.Delete})
			}
		}
	}
	return errors.New("the watch ended")
}

// copyRest is "<ns>/<name>" of a copy's key; false: it is no copy's.
func copyRest(key string) (string, bool) {
	parts := strings.Split(strings.TrimPrefix(key, bynodePrefix), "/")
	if len(parts) != 4 || parts[1] != "pods" {
		return "", false
	}
	return parts[2] + "/" + parts[3], true
}

// repairCopies looks at what has not fitted for a while.
func (r *Registry) repairCopies(ctx context.Context, t target, d *copyDesk) error {
	tick := time.NewTicker(repairTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, rest := range d.due(time.Now()) {
				if err := r.repairCopy(ctx, t, rest, d); err != nil && ctx.Err() == nil {
					d.log.Warn("repair of a by-node copy put off", "ns", namespaceOf(rest), "name", nameOf(rest), "err", err)
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func namespaceOf(rest string) string { ns, _, _ := strings.Cut(rest, "/"); return ns }

func nameOf(rest string) string { _, name, _ := strings.Cut(rest, "/"); return name }

// take brings one change in.
func (d *copyDesk) take(c deskChange, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case c.forget:
		d.copies, d.listed = map[string]map[string]int64{}, false
		return
	case c.listed:
		d.listed = true
		for rest := range d.pods {
			d.judge(rest, now)
		}
		return
	case c.copyKey != "" && c.gone:
		if delete(d.copies[c.rest], c.copyKey); len(d.copies[c.rest]) == 0 {
			delete(d.copies, c.rest)
		}
	case c.copyKey != "":
		if d.copies[c.rest] == nil {
			d.copies[c.rest] = map[string]int64{}
		}
		d.copies[c.rest][c.copyKey] = c.copyRev
	case c.gone:
		delete(d.pods, c.rest)
	default:
		d.pods[c.rest] = c.pod
	}
	d.judge(c.rest, now)
}

// judge makes a pod that does not fit its copies a suspect, and one that does none; d.mu is held.
func (d *copyDesk) judge(rest string, now time.Time) {
	if d.fits(rest) {
		delete(d.suspects, rest)
	} else if _, is := d.suspects[rest]; !is {
		d.suspects[rest] = now
	}
}

func (d *copyDesk) fits(rest string) bool {
	pod, copies := d.pods[rest], d.copies[rest]
	if pod.key == "" {
		return len(copies) == 0
	}
	return len(copies) == 1 && copies[pod.key] == pod.rev
}

// due are the suspects that are old enough to act on. While the brake holds, those without a pod are left out.
func (d *copyDesk) due(now time.Time) []string {
	rests, held := d.overdue(now)
	if held > 0 && now.Sub(d.held) > time.Minute {
		d.held = now
		d.log.Error("pods vanished from etcd, their containers are kept", "pods", held,
			"reason", "many pods were deleted past the API; restore them, or delete their keys below "+bynodePrefix)
		if d.onHold != nil {
			d.onHold(fmt.Sprintf("%d pods vanished from etcd without being deleted through the API: their containers are kept until they are restored, or their keys below %s are deleted", held, bynodePrefix))
		}
	}
	return rests
}

// overdue is due, and how many pods the brake holds.
func (d *copyDesk) overdue(now time.Time) (rests []string, held int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.listed {
		return nil, 0
	}
	orphans := 0
	for rest := range d.suspects {
		if _, is := d.pods[rest]; !is {
			orphans++
		}
	}
	brake := orphans > brakeCount && float64(orphans) > brakeShare*float64(len(d.copies))
	for rest, since := range d.suspects {
		_, is := d.pods[rest]
		if now.Sub(since) >= repairAge && (is || !brake) {
			rests = append(rests, rest)
		}
	}
	if !brake {
		orphans = 0
	}
	return rests, orphans
}

// lookLater puts off the next look at a suspect: what was done about it is news that is on its way.
func (d *copyDesk) lookLater(rest string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, is := d.suspects[rest]; is {
		d.suspects[rest] = time.Now()
	}
}

// copiesOf are the keys of a pod's copies.
func (d *copyDesk) copiesOf(rest string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Keys(d.copies[rest]))
}

// repairCopy looks at a pod and its copies in the store, and puts them right.
func (r *Registry) repairCopy(ctx context.Context, t target, rest string, d *copyDesk) error {
	t.namespace, t.name = namespaceOf(rest), nameOf(rest)
	t.key = objectKey(t.kind, t.namespace, t.name)
	kv, _, err := r.store.Get(ctx, t.key, 0)
	if err != nil {
		return err
	}
	st := r.stateOf(t, kv)
	if st.bad != nil {
		d.lookLater(rest) // the copy is the last that could be read: the node goes on with it
		return nil
	}
	txn := store.Txn{Compares: []store.Compare{{Key: t.key, Revision: st.rev}}}
	want, node := "", ""
	if st.item != nil {
		want, node = st.item.nodeCopy(), st.item.Field("spec.nodeName")
	}
	if want != "" {
		held, _, err := r.store.Get(ctx, want, 0)
		if err != nil {
			return err
		}
		if held == nil || held.ModRevision != st.rev {
			txn.Puts = []store.Put{{Key: t.key, Value: kv.Value}, {Key: want, Value: kv.Value}}
		}
	}
	for _, key := range d.copiesOf(rest) {
		if key != want {
			txn.Deletes = append(txn.Deletes, key)
		}
	}
	if len(txn.Puts) == 0 && len(txn.Deletes) == 0 {
		d.lookLater(rest) // all is well
		return nil
	}
	res, err := r.store.Commit(ctx, txn)
	if err != nil {
		return fmt.Errorf("writing the copy of pod %s: %w", rest, err)
	}
	d.lookLater(rest)
	if res.Done {
		d.log.Info("by-node copy repaired", "ns", t.namespace, "name", t.name, "node", node, "rv", res.Revision)
	}
	return nil
}
