// Package election chooses one leader among processes, by etcd's own recipe: /gantry/election/<name>/<lease in hex>, the oldest key leads.
// Deleting its key deposes a leader.
//
// A leader's writes are fenced: each compares the create revision of the leader's key in its own transaction. A leader that was
// paused while another was elected writes nothing, which a lease alone cannot promise.
package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gantry/registry/safely"
	"gantry/registry/store"
)

// leaseTTL is how long a leader that ended without resigning stays leader, in seconds.
const leaseTTL = 3

// The pause before campaigning again after an error.
const (
	firstCampaign = 100 * time.Millisecond
	lastCampaign  = 2 * time.Second
)

// Prefix is the range of all elections.
const Prefix = "/gantry/election/"

// Candidate is a process that wants to lead.
type Candidate struct {
	Store store.Store
	// Name is the election's, ID the process'.
	Name, ID string
	Log      *slog.Logger
}

// Lead campaigns and, while this process leads, runs lead with a store whose every write is fenced: a deposed leader's writes fail with
// Conflict. lead's ctx ends when the lease is lost; Lead then campaigns again. It returns when ctx is done (nil), or when lead
// returns by itself, with what that returns.
func (c Candidate) Lead(ctx context.Context, lead func(ctx context.Context, fenced store.Store) error) error {
	status := masterStatus.WithLabelValues(c.Name)
	status.Set(0)
	defer status.Set(0)
	log := c.Log.With("name", c.Name)
	for pause := firstCampaign; ctx.Err() == nil; {
		t := &candidacy{store: c.Store, prefix: Prefix + c.Name + "/", id: c.ID}
		err := t.win(ctx)
		if err == nil {
			log.Info("election won", "id", c.ID, "rv", t.created)
			status.Set(1)
			var ended bool
			ended, err = t.serve(ctx, lead)
			status.Set(0)
			if ended && ctx.Err() == nil {
				t.resign(ctx)
				return err
			}
			pause = firstCampaign
		}
		t.resign(ctx)
		if ctx.Err() != nil {
			return nil
		}
		log.Warn("leadership lost or not won", "after", pause, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, lastCampaign)
	}
	return nil
}

// candidacy is one key in an election.
type candidacy struct {
	store   store.Store
	prefix  string
	id      string
	key     string
	created int64           // the key's create revision, which the fence compares; 0: there is no key
	lost    <-chan struct{} // closed when the lease is
	end     context.CancelFunc
}

var errDeposed = errors.New("the lease was lost or the election key was deleted")

// win returns when this candidate's key is the oldest.
func (t *candidacy) win(ctx context.Context) error {
	lctx, end := context.WithCancel(ctx)
	t.end = end
	lease, lost, err := t.store.Grant(lctx, leaseTTL)
	if err != nil {
		return fmt.Errorf("asking for a lease: %w", err)
	}
	t.lost, t.key = lost, fmt.Sprintf("%s%x", t.prefix, lease)
	value, err := json.Marshal(map[string]string{"holder": t.id})
	if err != nil {
		return err
	}
	res, err := t.store.Commit(ctx, store.Txn{
		Compares: []store.Compare{{Key: t.key, Create: true}},
		Puts:     []store.Put{{Key: t.key, Value: value, Lease: lease}},
	})
	if err != nil {
		return fmt.Errorf("entering the election: %w", err)
	}
	if !res.Done {
		return fmt.Errorf("entering the election: %s is there already", t.key)
	}
	t.created = res.Revision
	for {
		rev, first, err := t.isOldest(ctx)
		if err != nil || first {
			return err
		}
		if err := t.awaitDeletion(ctx, rev); err != nil {
			return err
		}
	}
}

// isOldest tells whether this candidate is the oldest at the revision returned.
func (t *candidacy) isOldest(ctx context.Context) (rev int64, first bool, err error) {
	kvs, _, rev, err := t.store.List(ctx, t.prefix, store.RangeEnd(t.prefix), 0, 0)
	if err != nil {
		return 0, false, fmt.Errorf("listing the candidates: %w", err)
	}
	mine := false
	first = true
	for _, kv := range kvs {
		mine = mine || kv.Key == t.key && kv.CreateRevision == t.created
		first = first && kv.CreateRevision >= t.created
	}
	if !mine {
		return 0, false, errDeposed
	}
	return rev, first, nil
}

// awaitDeletion returns at the first deletion of a candidate after rev.
func (t *candidacy) awaitDeletion(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := t.store.Watch(ctx, t.prefix, store.RangeEnd(t.prefix), rev+1, false)
	for {
		select {
		case b, more := <-batches:
			if b.Err != nil || !more {
				return nil // isOldest finds what is wrong
			}
			for _, e := range b.Events {
				if e.Delete {
					return nil
				}
			}
		case <-t.lost:
			return errDeposed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serve runs lead until it returns (ended) or the leadership is lost; it always waits for lead's return.
func (t *candidacy) serve(ctx context.Context, lead func(ctx context.Context, fenced store.Store) error) (ended bool, err error) {
	fenced := &fence{Store: t.store, key: t.key, created: t.created}
	lctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- safely.Call(func() error { return lead(lctx, fenced) }) }()
	deposed := make(chan struct{})
	go func() {
		defer close(deposed)
		t.awaitDeposition(lctx)
	}()
	select {
	case err := <-done:
		cancel()
		<-deposed
		return true, err
	case <-deposed:
	case <-ctx.Done():
	}
	cancel()
	err = <-done
	<-deposed
	if ctx.Err() != nil {
		return false, nil
	}
	return false, errors.Join(errDeposed, err)
}

// awaitDeposition returns when the lease is lost, the key is deleted or ctx is done.
func (t *candidacy) awaitDeposition(ctx context.Context) {
	for rev := t.created; ctx.Err() == nil; {
		batches := t.store.Watch(ctx, t.key, t.key+"\x00", rev+1, false)
		for open := true; open; {
			select {
			case b, more := <-batches:
				open = more && b.Err == nil
				for _, e := range b.Events {
					if e.Delete {
						return
					}
				}
				rev = max(rev, b.Revision)
			case <-t.lost:
				return
			case <-ctx.Done():
				return
			}
		}
		now, _, err := t.isOldest(ctx)
		if errors.Is(err, errDeposed) {
			return
		}
		rev = max(rev, now)
		select {
		case <-time.After(firstCampaign):
		case <-t.lost:
			return
		case <-ctx.Done():
		}
	}
}

// resignTimeout bounds leaving the election; the lease runs out by itself where that fails.
const resignTimeout = time.Second

// resign deletes the key at once, so that another candidate need not wait for the lease to expire.
func (t *candidacy) resign(ctx context.Context) {
	if t.created != 0 {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignTimeout)
		defer cancel()
		_, _ = t.store.Commit(rctx, store.Txn{Compares: []store.Compare{{Key: t.key, Revision: t.created, Create: true}}, Deletes: []string{t.key}})
	}
	t.end()
}

// fence is a Store whose every write holds only while a key has its create revision.
type fence struct {
	store.Store
	key     string
	created int64
}

// Commit is Store's Commit; a deposed leader's is Conflict.
func (f *fence) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	t.Compares = append(t.Compares[:len(t.Compares):len(t.Compares)], store.Compare{Key: f.key, Revision: f.created, Create: true})
	res, err := f.Store.Commit(ctx, t)
	if err != nil || res.Done {
		return res, err
	}
	if kv := res.Current[f.key]; kv == nil || kv.CreateRevision != f.created {
		return store.TxnResult{}, &store.Error{Kind: store.Conflict, Reason: "this process is no longer the leader", Cause: errDeposed}
	}
	delete(res.Current, f.key)
	return res, nil
}
