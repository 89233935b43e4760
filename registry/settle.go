package registry

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"gantry/registry/store"
)

// trace is what a write leaves in the store. Its stamp is nobody else's (who, when to the nanosecond, after which
// revision), so that a write whose answer is late or lost can be recognised.
type trace struct {
	s     *swap
	value []byte // what is put; a deletion leaves its stamp at deletedKey
	by    Stamp
}

// found looks for the trace; false: it is not there, or it is not there any more, or nobody could tell.
func (w trace) found(ctx context.Context, etcd store.Store) (store.TxnResult, bool) {
	kv, _, err := etcd.Get(ctx, w.s.key, 0)
	want := w.value
	if w.s.remove {
		if err != nil || kv != nil {
			return store.TxnResult{}, false
		}
		kv, _, err = etcd.Get(ctx, deletedKey, 0)
		want = deletion{Key: w.s.key, Stamp: w.by}.text()
	}
	if err != nil || kv == nil || !bytes.Equal(kv.Value, want) {
		return store.TxnResult{}, false
	}
	return store.TxnResult{Done: true, Revision: kv.ModRevision}, true
}

// firstLook is when a write that has no answer yet is looked for: the member that it was sent to may be unable to tell (it
// is being defragmented, say) what all others know.
const firstLook = time.Second

// settleTimeout bounds the look at what became of a write whose answer was lost; lateTimeout where the time of the request
// is over already.
const (
	settleTimeout = 2 * time.Second
	lateTimeout   = 300 * time.Millisecond
)

// settled runs commit. Where that has no answer or one that leaves the outcome unknown, it looks for what was written. Not to find
// it proves nothing: it may still come, or have been replaced; then the outcome stays unknown.
func (r *Registry) settled(ctx context.Context, w trace, commit func(context.Context) (store.TxnResult, error)) (store.TxnResult, error) {
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var seen atomic.Pointer[store.TxnResult]
	over := make(chan struct{})
	looker := time.AfterFunc(firstLook, func() {
		defer close(over)
		for pause := firstLook; cctx.Err() == nil; pause *= 2 {
			if res, ok := w.found(cctx, r.store); ok {
				seen.Store(&res)
				cancel()
				return
			}
			select {
			case <-time.After(pause):
			case <-cctx.Done():
			}
		}
	})
	res, err := commit(cctx)
	cancel()
	if !looker.Stop() {
		<-over
	}
	if err == nil {
		return res, nil
	}
	if res := seen.Load(); res != nil {
		return *res, nil
	}
	var e *store.Error
	if !errors.As(err, &e) || !e.UnknownOutcome {
		return store.TxnResult{}, err
	}
	limit := settleTimeout
	if ctx.Err() != nil {
		limit = lateTimeout
	}
	sctx, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	if res, ok := w.found(sctx, r.store); ok {
		return res, nil
	}
	return store.TxnResult{}, err
}
