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

// Repairer keeps copies in step with pods and local volumes, and holds pods that vanished in number.
type Repairer struct {
	Store store.Store
	Log   *slog.Logger
	// Copies are what the repairer sees of pods: NewCopies.
	Copies *Copies
	// Follow calls pod and volume for every one of them and every change of one until ctx is done; gone: it is deleted. It calls applied after
	// those that there are at the beginning.
	Follow func(ctx context.Context, pod func(namespace, name string, pod Pod, revision int64, gone bool),
		volume func(name, node string, revision int64, gone bool), applied func()) error
	// Read reads the value of a pod or of a copy of one.
	Read func(kv *store.KV) (Pod, error)
	// ReadVolume returns the node that has the directory of a volume; "": it has none.
	ReadVolume func(kv *store.KV) (node string, err error)
	Observer

	volumes *Copies // made by Run
}

// Pod is what a Repairer has to know of a pod.
type Pod struct {
	// Node is that to which it is bound; "": none.
	Node string
	// Owner is the uid of its controller; "": none.
	Owner string
	// Deleting tells that it is being deleted.
	Deleting bool
}

// Observer is told what a Repairer finds out, and tells it what an admin wants. Functions that are not set are not called; none may block.
type Observer struct {
	// Listed is called when Copies are complete, with the copies whose pods were not among those followed. They may be deleted meanwhile.
	Listed func(orphans []*store.KV)
	// Gone is called when a pod has no copy any more, or did not vanish after all: Copies.Has is false for it.
	Gone func(namespace, name string)
	// Held is called with how many pods are held, several times a second.
	Held func(pods int)
	// Report is called when pods are held, with those that were not before ("<namespace>/<name>"), and once a minute while they are.
	Report func(h Hold, pods int, missed []string)
	// GiveUp returns the revision of the hold whose pods are given up; "": none.
	GiveUp func() string
}

// Run repairs until ctx is done. A copy that is missing or wrong is written again together with its pod or volume (both get a new revision, equal
// again); one without it is deleted.
//
// Where many pods vanished at once (Hold) their copies are not deleted: an accidental `etcdctl del --prefix /registry/pods` is
// likelier than the intention to stop all pods. The copies, and with them the containers, then stay until the pods are back, an admin gives
// them up or deletes the copies, or HoldTime is over.
func (r Repairer) Run(ctx context.Context) error {
	r.volumes = NewCopies()
	applied := make(chan struct{})
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error {
		_ = r.Follow(ctx, r.setPod, r.setVolume, func() { close(applied) }) // its only error is ctx's
		return nil
	})
	g.Go(func() error {
		select {
		case <-applied:
		case <-ctx.Done():
			return nil
		}
		return safely.Keep(ctx, r.Log, "following by-node copies", r.followCopies)
	})
	g.Go(func() error {
		return safely.Keep(ctx, r.Log, "repairing by-node copies", r.repair)
	})
	return g.Wait()
}

func (r Repairer) setPod(namespace, name string, pod Pod, revision int64, gone bool) {
	var want *wanted
	if !gone {
		want = &wanted{Key(pod.Node, namespace, name), revision, pod.Owner, pod.Deleting}
	}
	r.Copies.setPod(namespace+"/"+name, want, time.Now())
}

func (r Repairer) setVolume(name, node string, revision int64, gone bool) {
	var want *wanted
	if !gone {
		want = &wanted{key: VolumeKey(node, name), rev: revision}
	}
	r.volumes.setPod(name, want, time.Now())
}

// setCopy puts a copy into the copies of its kind. orphan: it is of a pod that is not there.
func (r Repairer) setCopy(kv *store.KV) (orphan bool) {
	if volume, ok := volumeOf(kv.Key); ok {
		r.volumes.setCopy(volume, kv.Key, kv.ModRevision, time.Now())
	}
	pod, ok := podOf(kv.Key)
	if ok {
		r.Copies.setCopy(pod, kv.Key, kv.ModRevision, time.Now())
	}
	return ok && !r.Copies.hasPod(pod)
}

// deleteKey removes a copy from the copies of its kind.
func (r Repairer) deleteKey(key string) {
	if volume, ok := volumeOf(key); ok {
		r.volumes.deleteCopy(volume, key, time.Now())
	}
	if pod, ok := podOf(key); ok {
		r.deleteCopy(pod, key)
	}
}

// deleteCopy removes a copy of a pod from Copies.
func (r Repairer) deleteCopy(pod, key string) {
	if r.Copies.deleteCopy(pod, key, time.Now()) {
		r.gone(pod)
	}
}

// setOrdinary notes that a pod did not vanish, as its value cannot be read.
func (r Repairer) setOrdinary(pod string) {
	r.Copies.setOrdinary(pod)
	r.gone(pod)
}

func (r Repairer) gone(pod string) {
	if r.Gone != nil {
		r.Gone(split(pod))
	}
}

// followCopies puts every copy and every change of one into Copies. It lists again after any error.
func (r Repairer) followCopies(ctx context.Context) error {
	for {
		err := r.streamCopies(ctx)
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

func (r Repairer) streamCopies(ctx context.Context) error {
	m := r.Copies
	m.startList()
	r.volumes.startList()
	var orphans []*store.KV
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
			if r.setCopy(kv) {
				orphans = append(orphans, kv)
			}
		}
		if int64(len(kvs)) == count || len(kvs) == 0 {
			break
		}
		start = kvs[len(kvs)-1].Key + "\x00"
	}
	m.setSeen(rev)
	m.endList(time.Now())
	r.volumes.endList(time.Now())
	if r.Listed != nil {
		r.Listed(orphans)
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for b := range r.Store.Watch(wctx, Root, end, rev+1, false) {
		if b.Err != nil {
			return b.Err
		}
		for _, e := range b.Events {
			if e.Delete {
				r.deleteKey(e.KV.Key)
			} else {
				r.setCopy(e.KV)
			}
		}
		if m.setSeen(b.Revision) && r.Listed != nil {
			r.Listed(nil)
		}
	}
	return errors.New("the watch ended")
}

// repair checks the pods that have not matched for a while, and those that vanished.
func (r Repairer) repair(ctx context.Context) error {
	h := &holder{Repairer: r, held: map[string]bool{}}
	tick := time.NewTicker(repairEvery)
	defer tick.Stop()
	loaded := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if r.Copies.isBehind() {
			_ = r.Store.Progress(ctx, Root) // else a quiet watch does not tell
		}
		now, err := time.Now(), error(nil)
		if !loaded {
			err = h.load(ctx)
			loaded = err == nil
		}
		if err == nil {
			err = h.update(ctx, now)
		}
		if err != nil { // what is held may not be known
			if ctx.Err() == nil {
				r.Log.Warn("check of vanished pods put off", "err", err)
			}
			continue
		}
		for _, pod := range r.Copies.due(now, h.heldNow()) {
			r.repairOne(ctx, pod, r.repairPod)
		}
		for _, volume := range r.volumes.due(now, nil) {
			r.repairOne(ctx, volume, r.repairVolume)
		}
	}
}

// repairOne repairs the copies of one object.
func (r Repairer) repairOne(ctx context.Context, object string, repair func(ctx context.Context, object string) error) {
	if err := repair(ctx, object); err != nil && ctx.Err() == nil {
		r.Log.Warn("repair of a by-node copy put off", "name", object, "err", err)
	}
}

// repairPod reads a pod and its copies from the store, and corrects the copies.
func (r Repairer) repairPod(ctx context.Context, pod string) error {
	return r.repairObject(ctx, r.Copies, pod, podPrefix+pod, func(kv *store.KV) (string, error) {
		p, err := r.Read(kv)
		if err != nil {
			r.setOrdinary(pod)
			return "", err
		}
		namespace, name := split(pod)
		return Key(p.Node, namespace, name), nil
	})
}

// repairVolume is repairPod for a local volume. A volume that was deleted past the API has no copy any more either; its node leaves the
// directory alone.
func (r Repairer) repairVolume(ctx context.Context, volume string) error {
	return r.repairObject(ctx, r.volumes, volume, volumePrefix+volume, func(kv *store.KV) (string, error) {
		node, err := r.ReadVolume(kv)
		return VolumeKey(node, volume), err
	})
}

// repairObject reads the object at key and its copies in m from the store, and corrects the copies. copyOf returns where the copy of its value lives.
func (r Repairer) repairObject(ctx context.Context, m *Copies, object, key string, copyOf func(kv *store.KV) (string, error)) error {
	kv, _, err := r.Store.Get(ctx, key, 0)
	if err != nil {
		return err
	}
	txn := store.Txn{Compares: []store.Compare{{Key: key}}}
	want := ""
	if kv != nil {
		txn.Compares[0].Revision = kv.ModRevision
		if want, err = copyOf(kv); err != nil {
			m.postpone(object, time.Now()) // the copy is the last that could be read: the node goes on with it
			return nil
		}
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
	for _, key := range m.copiesOf(object) {
		if key != want {
			txn.Deletes = append(txn.Deletes, key)
		}
	}
	if len(txn.Puts) == 0 && len(txn.Deletes) == 0 {
		m.postpone(object, time.Now()) // they match
		return nil
	}
	res, err := r.Store.Commit(ctx, txn)
	if err != nil {
		return fmt.Errorf("writing the copy of %s: %w", key, err)
	}
	m.postpone(object, time.Now())
	if res.Done {
		for _, key := range txn.Deletes {
			r.deleteKey(key)
		}
		r.Log.Info("by-node copy repaired", "key", key, "copy", want, "rv", res.Revision)
	}
	return nil
}
