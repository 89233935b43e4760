package bynode

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"gantry/registry/safely"
	"gantry/registry/store"
)

// holder keeps the hold of one Repairer. It is used by one goroutine.
type holder struct {
	Repairer
	hold     Hold
	rev      int64           // of the record in the store; 0: there is none
	held     map[string]bool // by "<ns>/<name>"
	unsaved  bool            // the record is to be written
	missed   []string        // pods that are held and not reported so far
	givenUp  bool            // the pods are given up, some copies may be left
	reported time.Time
}

// reportEvery is how often a hold is reported.
const reportEvery = time.Minute

// load reads the record that an earlier leader left.
func (h *holder) load(ctx context.Context) error {
	kv, _, err := h.Store.Get(ctx, HoldKey, 0)
	if err != nil || kv == nil {
		return err
	}
	h.rev = kv.ModRevision
	if h.hold, err = ReadHold(kv.Value); err != nil {
		h.Log.Warn("record of vanished pods not read, it is made anew", "key", HoldKey, "err", err)
		h.hold = Hold{}
	}
	for _, pod := range h.hold.Pods {
		h.held[pod] = true
	}
	return nil
}

// update begins, extends and ends the hold by what is there now.
func (h *holder) update(ctx context.Context, now time.Time) error {
	for _, pod := range h.Copies.unread() {
		if err := h.readLost(ctx, pod); err != nil {
			return err
		}
	}
	state, settled := h.Copies.vanished(now)
	if !h.Copies.isListed() {
		return nil
	}
	for pod := range h.held {
		if _, is := state.owners[pod]; !is {
			delete(h.held, pod) // it is back, or its copy is gone
		}
	}
	if settled {
		if err := h.extend(ctx, state, now); err != nil {
			return err
		}
	}
	if h.Held != nil {
		h.Held(len(h.held))
	}
	if h.unsaved {
		if err := h.save(ctx); err != nil {
			return err
		}
		h.report(now)
	}
	switch {
	case len(h.held) == 0 && h.rev != 0:
		return h.end(ctx)
	case len(h.held) == 0:
		return nil
	case h.mayGiveUp(now):
		h.giveUp()
	case now.Sub(h.reported) >= reportEvery:
		h.report(now)
	}
	return nil
}

// readLost reads what the copies say of a pod that is gone.
func (h *holder) readLost(ctx context.Context, pod string) error {
	for _, key := range h.Copies.copiesOf(pod) {
		kv, _, err := h.Store.Get(ctx, key, 0)
		if err != nil {
			return err
		}
		if kv == nil {
			continue
		}
		lost := lostPod{read: true}
		if p, err := h.Read(kv); err == nil {
			lost.owner, lost.deleting = p.Owner, p.Deleting
		}
		h.Copies.setLost(pod, lost)
		return nil
	}
	return nil
}

// extend holds the pods that are missed now and were not before, once the store shows that their keys are gone and their copies are not.
func (h *holder) extend(ctx context.Context, state vanishedState, now time.Time) error {
	missed := slices.DeleteFunc(state.toHold(), func(pod string) bool { return h.held[pod] })
	if len(missed) == 0 {
		return nil
	}
	confirmed, rev, err := h.confirm(ctx, missed)
	if err != nil {
		return err
	}
	if len(confirmed) < len(missed) {
		return nil // decide again without the others
	}
	for _, pod := range missed {
		h.held[pod] = true
	}
	h.givenUp = false
	h.hold = Hold{Revision: rev, Since: now.UTC().Truncate(time.Second), Until: now.Add(HoldTime).UTC().Truncate(time.Second), Pods: slices.Sorted(maps.Keys(h.held))}
	h.unsaved, h.missed = true, append(h.missed, missed...)
	return nil
}

// save writes the record.
func (h *holder) save(ctx context.Context) error {
	res, err := h.Store.Commit(ctx, store.Txn{Puts: []store.Put{{Key: HoldKey, Value: h.hold.encode()}}})
	if err != nil {
		return fmt.Errorf("recording vanished pods at %s: %w", HoldKey, err)
	}
	h.rev, h.unsaved = res.Revision, false
	return nil
}

// parallelReads is how many pods are read at a time.
const parallelReads = 16

// confirm returns those of pods that have no key in the store and a copy, and the store's revision.
func (h *holder) confirm(ctx context.Context, pods []string) (confirmed []string, rev int64, err error) {
	if rev, err = h.Store.Revision(ctx); err != nil {
		return nil, 0, err
	}
	is := make([]bool, len(pods))
	g, ctx := safely.WithContext(ctx)
	g.SetLimit(parallelReads)
	for i, pod := range pods {
		g.Go(func() (err error) {
			is[i], err = h.hasVanished(ctx, pod)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, err
	}
	for i, pod := range pods {
		if is[i] {
			confirmed = append(confirmed, pod)
		}
	}
	return confirmed, rev, nil
}

// hasVanished returns whether the store has a copy of a pod and no pod. It corrects Copies by what it reads.
func (h *holder) hasVanished(ctx context.Context, pod string) (bool, error) {
	kv, _, err := h.Store.Get(ctx, podPrefix+pod, 0)
	if err != nil {
		return false, err
	}
	if kv != nil {
		if _, err := h.Read(kv); err != nil {
			h.setOrdinary(pod)
		}
		return false, nil
	}
	found := false
	for _, key := range h.Copies.copiesOf(pod) {
		kv, _, err := h.Store.Get(ctx, key, 0)
		if err != nil {
			return false, err
		}
		if kv == nil {
			h.deleteCopy(pod, key)
		}
		found = found || kv != nil
	}
	return found, nil
}

// mayGiveUp returns whether the pods are given up: an admin said so, or their time is over.
func (h *holder) mayGiveUp(now time.Time) bool {
	return !h.givenUp && (!now.Before(h.hold.Until) || h.GiveUp != nil && h.GiveUp() == strconv.FormatInt(h.hold.Revision, 10))
}

// giveUp lets the pods that are held be repaired as others are: their copies are deleted, nodes stop the containers, and controllers replace
// the pods.
func (h *holder) giveUp() {
	h.Log.Warn("vanished pods given up", "pods", len(h.held), "rv", h.hold.Revision, "reason", "confirmed, or held until "+h.hold.Until.Format(time.RFC3339))
	h.givenUp = true
}

// end deletes the record.
func (h *holder) end(ctx context.Context) error {
	res, err := h.Store.Commit(ctx, store.Txn{Compares: []store.Compare{{Key: HoldKey, Revision: h.rev, Unread: true}}, Deletes: []string{HoldKey}})
	if err != nil {
		return fmt.Errorf("deleting %s: %w", HoldKey, err)
	}
	if !res.Done {
		h.Log.Warn("record of vanished pods changed by hand", "key", HoldKey)
	}
	h.Log.Info("no vanished pods are held any more", "rv", h.hold.Revision)
	h.rev, h.hold, h.givenUp, h.reported = 0, Hold{}, false, time.Time{}
	return nil
}

// report reports the hold.
func (h *holder) report(now time.Time) {
	h.reported = now
	h.Log.Error("pods vanished from etcd, their containers are kept and they are not replaced", "pods", len(h.held), "rv", h.hold.Revision,
		"reason", "many pods were deleted past the API; gantry undo pods --vanished restores them", "until", h.hold.Until)
	if h.Report != nil {
		h.Report(h.hold, len(h.held), h.missed)
	}
	h.missed = nil
}

// heldNow are the pods that are not repaired.
func (h *holder) heldNow() map[string]bool {
	if h.givenUp {
		return nil
	}
	return h.held
}
