// Package outcome finds out whether a write was made whose answer is late or lost.
package outcome

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"gantry/registry/history"
	"gantry/registry/store"
)

// Write is what a write leaves in the store. No other write has its record (who, when to the nanosecond, after which
// revision), so that it can be found.
type Write struct {
	Key string
	// Value is what is put under Key; a deletion leaves its record at history.DeletedKey.
	Value  []byte
	Remove bool
	Record history.Record
}

// readBack reads whether the write was made; false: it was not, or it was replaced since, or the store does not answer.
func (w Write) readBack(ctx context.Context, etcd store.Store) (store.TxnResult, bool) {
	kv, _, err := etcd.Get(ctx, w.Key, 0)
	want := w.Value
	if w.Remove {
		if err != nil || kv != nil {
			return store.TxnResult{}, false
		}
		kv, _, err = etcd.Get(ctx, history.DeletedKey, 0)
		want = history.Deletion{Key: w.Key, Record: w.Record}.Encode()
	}
	if err != nil || kv == nil || !bytes.Equal(kv.Value, want) {
		return store.TxnResult{}, false
	}
	return store.TxnResult{Done: true, Revision: kv.ModRevision}, true
}

// firstProbe is when a write that has no answer yet is read back: the member that it was sent to may be unable to answer (it
// is being defragmented, say).
const firstProbe = time.Second

// probeTimeout bounds reading back a write whose answer was lost; lateProbeTimeout after the deadline of the request.
const (
	probeTimeout     = 2 * time.Second
	lateProbeTimeout = 300 * time.Millisecond
)

// Resolve runs commit. Where that has no answer, or one that leaves the outcome unknown, it reads back what was written. A write
// that is not found may still be made, or have been replaced: the outcome stays unknown.
func Resolve(ctx context.Context, etcd store.Store, w Write, commit func(context.Context) (store.TxnResult, error)) (store.TxnResult, error) {
	cctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var seen atomic.Pointer[store.TxnResult]
	over := make(chan struct{})
	prober := time.AfterFunc(firstProbe, func() {
		defer close(over)
		for pause := firstProbe; cctx.Err() == nil; pause *= 2 {
			if res, ok := w.readBack(cctx, etcd); ok {
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
	if !prober.Stop() {
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
	limit := probeTimeout
	if ctx.Err() != nil {
		limit = lateProbeTimeout
	}
	sctx, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	if res, ok := w.readBack(sctx, etcd); ok {
		return res, nil
	}
	return store.TxnResult{}, err
}
