package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gantry/registry/safely"
	"gantry/registry/store"
)

// leaseTTL is how long a leader that is gone without a word stays leader, in seconds.
const leaseTTL = 3

// The pause before campaigning again after a fault.
const (
	firstCampaign = 100 * time.Millisecond
	lastCampaign  = 2 * time.Second
)

// Lead campaigns for the election name and, while this process leads, runs lead with a Registry whose every
// write is fenced by the election key: a deposed leader's writes fail with Conflict. lead's ctx ends when the
// lease is lost; Lead then campaigns again. It returns when ctx is done (nil), or when lead returns by itself, with what
// that returns.
//
// An election is etcd's own: /gantry/election/<name>/<lease in hex>, the oldest key leads. Deleting its key deposes a
// leader.
func (r *Registry) Lead(ctx context.Context, name, id string, lead func(ctx context.Context, r *Registry) error) error {
	status := masterStatus.WithLabelValues(name)
	status.Set(0)
	defer status.Set(0)
	log := r.cfg.Log.With("agent", r.cfg.Agent, "name", name)
	for pause := firstCampaign; ctx.Err() == nil; {
		t := &term{r: r, prefix: electionPrefix + name + "/", id: id}
		err := t.win(ctx)
		if err == nil {
			log.Info("election won", "id", id, "rv", t.since)
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

// term is one candidacy.
type term struct {
	r      *Registry
	prefix string
	id     string
	key    string
	since  int64 // the key's create revision: the fence
	lost   <-chan struct{}
	end    context.CancelFunc
}

var errDeposed = errors.New("the lease was lost or the election key was deleted")

// win returns when this candidate's key is the oldest.
func (t *term) win(ctx context.Context) error {
	lctx, end := context.WithCancel(ctx)
	t.end = end
	lease, lost, err := t.r.store.Grant(lctx, leaseTTL)
	if err != nil {
		return fmt.Errorf("asking for a lease: %w", err)
	}
	t.lost, t.key = lost, fmt.Sprintf("%s%x", t.prefix, lease)
	value, err := json.Marshal(map[string]string{"holder": t.id})
	if err != nil {
		return err
	}
	res, err := t.r.store.Commit(ctx, store.Txn{
		Compares: []store.Compare{{Key: t.key, Create: true}},
		Puts:     []store.Put{{Key: t.key, Value: value, Lease: lease}},
	})
	if err != nil {
		return fmt.Errorf("entering the election: %w", err)
	}
	if !res.Done {
		return fmt.Errorf("entering the election: %s is there already", t.key)
	}
	t.since = res.Revision
	for {
		rev, first, err := t.standing(ctx)
		if err != nil || first {
			return err
		}
		if err := t.awaitDeletion(ctx, rev); err != nil {
			return err
		}
	}
}

// standing tells whether this candidate is the oldest at the revision returned.
func (t *term) standing(ctx context.Context) (rev int64, first bool, err error) {
	kvs, _, rev, err := t.r.store.List(ctx, t.prefix, store.RangeEnd(t.prefix), 0, 0)
	if err != nil {
		return 0, false, fmt.Errorf("looking at the candidates: %w", err)
	}
	mine := false
	first = true
	for _, kv := range kvs {
		mine = mine || kv.Key == t.key && kv.CreateRevision == t.since
		first = first && kv.CreateRevision >= t.since
	}
	if !mine {
		return 0, false, errDeposed
	}
	return rev, first, nil
}

// awaitDeletion returns at the first deletion of a candidate after rev.
func (t *term) awaitDeletion(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := t.r.store.Watch(ctx, t.prefix, store.RangeEnd(t.prefix), rev+1, false)
	for {
		select {
		case b, more := <-batches:
			if b.Err != nil || !more {
				return nil // look again; standing finds what is wrong
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
func (t *term) serve(ctx context.Context, lead func(ctx context.Context, r *Registry) error) (ended bool, err error) {
	led := *t.r
	led.cfg.Agent = strings.Trim(strings.TrimPrefix(t.prefix, electionPrefix), "/") // who its writes are by
	led.store = &fence{Store: t.r.store, key: t.key, since: t.since}
	lctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- safely.Call(func() error { return lead(lctx, &led) }) }()
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
func (t *term) awaitDeposition(ctx context.Context) {
	for rev := t.since; ctx.Err() == nil; {
		batches := t.r.store.Watch(ctx, t.key, t.key+"\x00", rev+1, false)
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
		now, _, err := t.standing(ctx)
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

// resign gives the key back at once, so that another need not wait for the lease to run out.
func (t *term) resign(ctx context.Context) {
	if t.since != 0 {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignTimeout)
		defer cancel()
		_, _ = t.r.store.Commit(rctx, store.Txn{Compares: []store.Compare{{Key: t.key, Revision: t.since, Create: true}}, Deletes: []string{t.key}})
	}
	t.end()
}

// fence is a Store whose every write holds only while a key has its create revision.
type fence struct {
	store.Store
	key   string
	since int64
}

// Commit is Store's Commit; a deposed leader's is Conflict.
func (f *fence) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	t.Compares = append(t.Compares[:len(t.Compares):len(t.Compares)], store.Compare{Key: f.key, Revision: f.since, Create: true})
	res, err := f.Store.Commit(ctx, t)
	if err != nil || res.Done {
		return res, err
	}
	if kv := res.Current[f.key]; kv == nil || kv.CreateRevision != f.since {
		return store.TxnResult{}, &Error{Kind: Conflict, Reason: "this process is no longer the leader", Cause: errDeposed}
	}
	delete(res.Current, f.key)
	return res, nil
}
