package quarantine

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"gantry/registry/store"
	"gantry/schema"
)

// Recorder writes the records of what is under quarantine. Its queue has keys, not records: those are made from the Set when the key is
// processed, so a key that changes often is written once.
type Recorder struct {
	store store.Store
	write bool
	check func(k *schema.Kind, relKey string, kv *store.KV) error
	onBad func(k *schema.Kind, relKey string, err error)
	wake  chan struct{} // has a token while something waits

	mu      sync.Mutex // guards all below
	waiting map[recordJob]struct{}
	queue   []recordJob // in the order of add
}

// recordJob is a key to process; relKey "": all of the kind.
type recordJob struct {
	of     *Set
	relKey string
}

// maxRecords bounds the queue. Beyond it, all of a kind is processed instead.
const maxRecords = 1024

// listPage is how many records are read from etcd at a time.
const listPage = 1000

// The pause between two rounds of writing, which is what a key that flaps is written in, and after a round that failed.
const (
	recordPause = 100 * time.Millisecond
	lastRecord  = 30 * time.Second
)

// NewRecorder returns a recorder; write: this process may write records, and Run does. check says what is wrong with a value, for the last good
// one to be found. onBad, where it is not nil, is called for every bad value, once a revision.
func NewRecorder(s store.Store, write bool, check func(k *schema.Kind, relKey string, kv *store.KV) error, onBad func(k *schema.Kind, relKey string, err error)) *Recorder {
	return &Recorder{
		store: s, write: write, check: check, onBad: onBad, wake: make(chan struct{}, 1), waiting: map[recordJob]struct{}{},
	}
}

// add queues a key of a kind, or all of them.
func (r *Recorder) add(of *Set, relKey string) {
	if !r.write {
		return
	}
	r.mu.Lock()
	if relKey != "" && len(r.queue) >= maxRecords {
		relKey = ""
	}
	job := recordJob{of, relKey}
	if _, waits := r.waiting[job]; !waits {
		r.waiting[job] = struct{}{}
		r.queue = append(r.queue, job)
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (r *Recorder) take() []recordJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	jobs := r.queue
	r.queue = nil
	clear(r.waiting)
	return jobs
}

// Run processes the queue, round by round, and repeats what fails, until ctx is done.
func (r *Recorder) Run(ctx context.Context) error {
	pause := recordPause
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil
		}
		jobs := r.take()
		for i, job := range jobs {
			if err := r.do(ctx, job); err == nil {
				pause = recordPause
				continue
			}
			for _, job := range append(jobs[i+1:], job) { // the one that failed comes last
				r.add(job.of, job.relKey)
			}
			pause = min(2*pause, lastRecord)
			break
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Recorder) do(ctx context.Context, job recordJob) error {
	if job.relKey == "" {
		return r.sweep(ctx, job.of)
	}
	return r.record(ctx, job.of, job.relKey)
}

// report calls onBad for a bad value.
func (r *Recorder) report(of *Set, relKey string, bad badValue) {
	if r.onBad != nil {
		r.onBad(of.kind, relKey, bad.err)
	}
}

// record makes the record of a key match the quarantine. Where it writes one, it calls onBad: once in the cluster where every process
// that detects bad values writes records.
func (r *Recorder) record(ctx context.Context, of *Set, relKey string) error {
	key := recordKey(of.prefix + relKey)
	kv, _, err := r.store.Get(ctx, key, 0)
	if err != nil {
		return err
	}
	bad, is := of.get(relKey)
	if !is {
		return r.remove(ctx, kv)
	}
	b := Record{Key: of.prefix + relKey, Revision: bad.rev, Error: bad.err.Error(), LastGood: bad.good, Time: bad.at.UTC().Truncate(time.Second)}
	var old Record
	var rev int64
	if kv != nil {
		rev = kv.ModRevision
		if json.Unmarshal(kv.Value, &old) == nil && old.Revision >= b.Revision {
			of.noteRecord(relKey, b.Revision)
			return nil
		}
	}
	if b.LastGood == 0 {
		b.LastGood = max(old.LastGood, r.lastGood(ctx, of.kind, relKey, b))
	}
	value, err := json.Marshal(b)
	if err != nil {
		return nil // cannot happen
	}
	res, err := r.store.Commit(ctx, store.Txn{
		Compares: []store.Compare{{Key: key, Revision: rev}},
		Puts:     []store.Put{{Key: key, Value: value}},
	})
	switch {
	case err != nil:
		return err
	case res.Done:
		of.noteRecord(relKey, b.Revision)
		r.report(of, relKey, bad)
	default: // another process wrote it first, perhaps of an older value
		r.add(of, relKey)
	}
	return nil
}

// remove deletes a record that is as it was read; nil: there is none.
func (r *Recorder) remove(ctx context.Context, kv *store.KV) error {
	if kv == nil {
		return nil
	}
	_, err := r.store.Commit(ctx, store.Txn{Compares: []store.Compare{{Key: kv.Key, Revision: kv.ModRevision}}, Deletes: []string{kv.Key}})
	return err
}

// maxBad bounds how many bad values in a row are read to find the last good one.
const maxBad = 16

// lastGood searches etcd's history for the last value before b that can be read; 0: there is none any more.
func (r *Recorder) lastGood(ctx context.Context, k *schema.Kind, relKey string, b Record) int64 {
	rev := b.Revision
	for range maxBad {
		kv, _, err := r.store.Get(ctx, b.Key, rev-1)
		if err != nil || kv == nil {
			return 0
		}
		if r.check(k, relKey, kv) == nil {
			return kv.ModRevision
		}
		rev = kv.ModRevision
	}
	return 0
}

// sweep makes all records of a kind match its quarantine.
func (r *Recorder) sweep(ctx context.Context, of *Set) error {
	start := recordKey(of.prefix)
	end := store.RangeEnd(start)
	for {
		kvs, count, _, err := r.store.List(ctx, start, end, listPage, 0)
		if err != nil {
			return err
		}
		for _, kv := range kvs {
			if _, is := of.get(strings.TrimPrefix(kv.Key, recordKey(of.prefix))); is {
				continue
			}
			if err := r.remove(ctx, kv); err != nil {
				return err
			}
		}
		if int64(len(kvs)) == count || len(kvs) == 0 {
			break
		}
		start = kvs[len(kvs)-1].Key + "\x00"
	}
	for _, relKey := range of.unrecorded() {
		if err := r.record(ctx, of, relKey); err != nil {
			return err
		}
	}
	return nil
}
