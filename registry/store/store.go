package store

import (
	"context"

	"k8s.io/apimachinery/pkg/api/validate/content"
)

// Store is what the registry reads and writes, in the shape of go.etcd.io/etcd/client/v3/kubernetes: reads and
// writes of raw keys with etcd's semantics. There are two: NewEtcd and NewFake; one conformance suite (storetest)
// runs on both. Errors are *Error: Expired for a compacted or Unavailable for a future revision, Timeout with
// UnknownOutcome for a write that may have happened.
type Store interface {
	// Get reads one key at a revision (0: the latest, linearizable). An absent key has a nil KV, no error.
	Get(ctx context.Context, key string, revision int64) (KV *KV, storeRevision int64, err error)
	// List reads [start, end) in key order at a revision (0: the latest, linearizable), up to limit keys (0:
	// all); count is how many there are.
	List(ctx context.Context, start, end string, limit, revision int64) (kvs []*KV, count, storeRevision int64, err error)
	// Commit runs one transaction: if every compare holds, all puts are made under one new revision; else
	// nothing is and the result carries the current state of the compared keys. Compare and Put keys need not be the
	// same.
	Commit(ctx context.Context, t Txn) (TxnResult, error)
	// Watch streams the changes of [start, end) after revision from-1, until ctx is done or an error ends it:
	// batches of events in revision order, at most a few hundred each, never parting the events of one
	// revision; an empty batch with a Revision is progress. The channel is closed at the end; the last batch has Err
	// (Expired when from is compacted; Revision is then the oldest that is not, 0 where that is not known). prev asks for the state before each change, which costs etcd a read of it.
	Watch(ctx context.Context, start, end string, from int64, prev bool) <-chan WatchBatch
	// Revision is the store's current revision, linearizable (a read-index round trip).
	Revision(ctx context.Context) (int64, error)
	// Progress asks every open Watch that begins at start to send, soon, a batch without events that tells how far it
	// has come. A Watch that has changes to send does not answer.
	Progress(ctx context.Context, start string) error
	// Grant makes a lease of ttl seconds that is kept alive until ctx is done, then revoked; lost is closed
	// when it could not be kept.
	Grant(ctx context.Context, ttl int64) (lease int64, lost <-chan struct{}, err error)
}

// KV is a key with its value and the revisions of its last change and of its creation.
type KV struct {
	Key            string
	Value          []byte
	ModRevision    int64
	CreateRevision int64
	Lease          int64
}

// Txn is a transaction: compares, and what is written where all of them hold.
type Txn struct {
	Compares []Compare
	Puts     []Put
	// Deletes are keys; an absent one is no error.
	Deletes []string
}

// Compare holds when the key's ModRevision (or CreateRevision, where Create is set) is Revision; 0: absent. Unread spares the
// store the key's state in a result that is not Done.
type Compare struct {
	Key      string
	Revision int64
	Create   bool
	Unread   bool
}

// Put is one write; Lease 0 is none.
type Put struct {
	Key   string
	Value []byte
	Lease int64
}

// TxnResult is what a transaction did.
type TxnResult struct {
	Done     bool
	Revision int64          // of the store after it
	Current  map[string]*KV // when not Done: the compared keys' state, but of those Unread; absent keys are nil
}

// WatchBatch is some changes, in order.
type WatchBatch struct {
	Events   []Event
	Revision int64 // everything up to it has been delivered
	Err      error
}

// Event is one change of one key. Delete: KV has only Key and ModRevision (the deletion's).
type Event struct {
	KV     *KV
	Prev   *KV // the state before, where that was asked for; nil for a creation and where the store does not know it
	Delete bool
}

// RangeEnd is the first key after all that start with prefix, which ends in a slash: '0' follows '/'.
func RangeEnd(prefix string) string { return prefix[:len(prefix)-1] + "0" }

// IsSegment tells whether s can be one segment of a key. Nothing else may be built into one.
func IsSegment(s string) bool { return s != "" && len(content.IsPathSegmentName(s)) == 0 }
