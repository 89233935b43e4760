package store

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Fake is a Store in memory with etcd's semantics, for tests: revisions, history, compaction, leases.
type Fake struct {
	mu        sync.Mutex // guards all below
	rev       int64
	compacted int64 // revisions below it are gone
	keys      map[string][]version
	log       []Event // every change after compacted, in order of revision
	leases    map[int64]chan struct{}
	nextLease int64
	cut       int            // counts Cut calls
	asked     map[string]int // counts Progress calls by start
	failure   error          // what every call returns, see Fail
	changed   chan struct{}  // closed and replaced at every change of the above
}

// version is one state of a key; kv is nil where it was deleted.
type version struct {
	rev int64
	kv  *KV
}

// NewFake returns an empty Store in memory; its revision is 1, as a new etcd's.
func NewFake() *Fake {
	return &Fake{rev: 1, keys: map[string][]version{}, leases: map[int64]chan struct{}{}, asked: map[string]int{}, changed: make(chan struct{})}
}

var _ Store = (*Fake)(nil)

// fakeBatch is how many events a batch of the fake has at most, but that no revision is parted.
const fakeBatch = 512

// Compact forgets the history before rev, as `etcdctl compact` does.
func (f *Fake) Compact(rev int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compacted = max(f.compacted, min(rev, f.rev))
	f.log = slices.DeleteFunc(f.log, func(e Event) bool { return e.KV.ModRevision < f.compacted })
	for key, vs := range f.keys {
		first := sort.Search(len(vs), func(i int) bool { return vs[i].rev > f.compacted }) - 1
		if first < 0 {
			continue
		}
		if vs = vs[first:]; vs[0].kv == nil {
			vs = vs[1:]
		}
		if f.keys[key] = vs; len(vs) == 0 {
			delete(f.keys, key)
		}
	}
}

// Cut ends every watch with an error, as a lost connection does.
func (f *Fake) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut++
	f.notify()
}

// Fail makes every call return err and ends every watch, until Fail(nil): etcd is away.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
	if err != nil {
		f.cut++
	}
	f.notify()
}

// Expire takes a lease's keys away and reports it lost, as etcd does when it is not kept alive.
func (f *Fake) Expire(lease int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoke(lease)
}

// Rewind sets the store to an earlier state with an earlier revision, as restoring a snapshot does.
func (f *Fake) Rewind(rev int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rev = rev
	f.log = slices.DeleteFunc(f.log, func(e Event) bool { return e.KV.ModRevision > rev })
	for key, vs := range f.keys {
		f.keys[key] = slices.DeleteFunc(vs, func(v version) bool { return v.rev > rev })
		if len(f.keys[key]) == 0 {
			delete(f.keys, key)
		}
	}
	f.cut++
	f.notify()
}

func (f *Fake) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Fake) check(ctx context.Context, revision int64) error {
	switch {
	case ctx.Err() != nil:
		return ContextError(ctx)
	case f.failure != nil:
		return f.failure
	case revision > f.rev:
		return &Error{Kind: Unavailable, Reason: "etcdserver: mvcc: required revision is a future revision"}
	case revision > 0 && revision < f.compacted:
		return errCompacted
	}
	return nil
}

// at is a key's state at a revision; nil: absent.
func (f *Fake) at(key string, revision int64) *KV {
	vs := f.keys[key]
	i := sort.Search(len(vs), func(i int) bool { return vs[i].rev > revision }) - 1
	if i < 0 {
		return nil
	}
	return vs[i].kv
}

// Get is Store's Get.
func (f *Fake) Get(ctx context.Context, key string, revision int64) (*KV, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(ctx, revision); err != nil {
		return nil, 0, err
	}
	if revision == 0 {
		revision = f.rev
	}
	return f.at(key, revision), f.rev, nil
}

// List is Store's List.
func (f *Fake) List(ctx context.Context, start, end string, limit, revision int64) ([]*KV, int64, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(ctx, revision); err != nil {
		return nil, 0, 0, err
	}
	if revision == 0 {
		revision = f.rev
	}
	var kvs []*KV
	for key := range f.keys {
		if key < start || key >= end {
			continue
		}
		if kv := f.at(key, revision); kv != nil {
			kvs = append(kvs, kv)
		}
	}
	slices.SortFunc(kvs, func(a, b *KV) int { return strings.Compare(a.Key, b.Key) })
	count := int64(len(kvs))
	if limit > 0 && count > limit {
		kvs = kvs[:limit]
	}
	return kvs, count, f.rev, nil
}

// Commit is Store's Commit.
func (f *Fake) Commit(ctx context.Context, t Txn) (TxnResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(ctx, 0); err != nil {
		return TxnResult{}, err
	}
	for _, p := range t.Puts {
		if _, ok := f.leases[p.Lease]; p.Lease != 0 && !ok {
			return TxnResult{}, &Error{Kind: NotFound, Reason: "etcdserver: requested lease not found"}
		}
	}
	for _, c := range t.Compares {
		if !holds(c, f.at(c.Key, f.rev)) {
			current := map[string]*KV{}
			for _, c := range t.Compares {
				if !c.Unread {
					current[c.Key] = f.at(c.Key, f.rev)
				}
			}
			return TxnResult{Revision: f.rev, Current: current}, nil
		}
	}
	f.apply(t.Puts, t.Deletes)
	return TxnResult{Done: true, Revision: f.rev}, nil
}

func holds(c Compare, kv *KV) bool {
	switch {
	case kv == nil:
		return c.Revision == 0
	case c.Create:
		return kv.CreateRevision == c.Revision
	}
	return kv.ModRevision == c.Revision
}

// apply makes the changes under one new revision; a transaction that changes nothing keeps the old one.
func (f *Fake) apply(puts []Put, deletes []string) {
	next := f.rev + 1
	changed := false
	for _, p := range puts {
		prev := f.at(p.Key, f.rev)
		kv := &KV{Key: p.Key, Value: slices.Clone(p.Value), ModRevision: next, CreateRevision: next, Lease: p.Lease}
		if prev != nil {
			kv.CreateRevision = prev.CreateRevision
		}
		f.keys[p.Key] = append(f.keys[p.Key], version{next, kv})
		f.log = append(f.log, Event{KV: kv, Prev: prev})
		changed = true
	}
	for _, key := range deletes {
		prev := f.at(key, f.rev)
		if prev == nil {
			continue
		}
		f.keys[key] = append(f.keys[key], version{next, nil})
		f.log = append(f.log, Event{KV: &KV{Key: key, ModRevision: next}, Prev: prev, Delete: true})
		changed = true
	}
	if changed {
		f.rev = next
		f.notify()
	}
}

// Revision is Store's Revision.
func (f *Fake) Revision(ctx context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rev, f.check(ctx, 0)
}

// Progress is Store's Progress.
func (f *Fake) Progress(ctx context.Context, start string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[start]++
	f.notify()
	return f.check(ctx, 0)
}

// Watch is Store's Watch.
func (f *Fake) Watch(ctx context.Context, start, end string, from int64, prev bool) <-chan WatchBatch {
	out := make(chan WatchBatch)
	f.mu.Lock()
	cut, asked := f.cut, f.asked[start]
	f.mu.Unlock()
	go func() {
		defer close(out)
		next := max(from, 1)
		for {
			b, wait := f.pull(start, end, next, cut, &asked)
			for i := range b.Events {
				if !prev {
					b.Events[i].Prev = nil
				}
			}
			if b.Err != nil || len(b.Events) > 0 || wait == nil {
				select {
				case out <- b:
				case <-ctx.Done():
					return
				}
				if b.Err != nil {
					return
				}
				next = max(next, b.Revision+1)
				continue
			}
			select {
			case <-wait:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// pull is the next batch from revision next on; it is empty with a channel to wait on where nothing is due.
func (f *Fake) pull(start, end string, next int64, cut int, asked *int) (WatchBatch, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut != cut {
		return WatchBatch{Err: &Error{Kind: Unavailable, Reason: "the watch was cut"}}, nil
	}
	if next < f.compacted {
		return WatchBatch{Err: errCompacted, Revision: f.compacted}, nil
	}
	var b WatchBatch
	first := sort.Search(len(f.log), func(i int) bool { return f.log[i].KV.ModRevision >= next })
	for _, e := range f.log[first:] {
		if len(b.Events) >= fakeBatch && e.KV.ModRevision != b.Revision {
			return b, nil
		}
		if e.KV.Key >= start && e.KV.Key < end {
			b.Events = append(b.Events, e)
			b.Revision = e.KV.ModRevision
		}
	}
	if len(b.Events) > 0 {
		return b, nil
	}
	if *asked != f.asked[start] {
		*asked = f.asked[start]
		if f.rev >= next-1 {
			return WatchBatch{Revision: f.rev}, nil
		}
	}
	return b, f.changed
}

// Grant is Store's Grant.
func (f *Fake) Grant(ctx context.Context, ttl int64) (int64, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check(ctx, 0); err != nil {
		return 0, nil, err
	}
	if ttl <= 0 {
		return 0, nil, &Error{Kind: BadRequest, Reason: fmt.Sprintf("a lease of %d seconds", ttl)}
	}
	f.nextLease++
	lease, lost := f.nextLease, make(chan struct{})
	f.leases[lease] = lost
	context.AfterFunc(ctx, func() { f.Expire(lease) })
	return lease, lost, nil
}

// revoke ends a lease; f.mu is held.
func (f *Fake) revoke(lease int64) {
	lost, ok := f.leases[lease]
	if !ok {
		return
	}
	delete(f.leases, lease)
	close(lost)
	var keys []string
	for key := range f.keys {
		if kv := f.at(key, f.rev); kv != nil && kv.Lease == lease {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	f.apply(nil, keys)
}
