package store

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Etcd is the Store on a real etcd.
type Etcd struct {
	client      *clientv3.Client
	kv          pb.KVClient // of client, see Commit
	inProcess   InProcess   // nil: etcd is another process
	watcher     *clientv3.Client
	memberCount int        // of the endpoints given
	mu          sync.Mutex // guards open and count
	open        map[*openWatch]struct{}
	count       int64 // of watches opened
}

// NewEtcd returns a Store on etcd. Watches have a client of their own, because a big list starves the watches that
// share its connection; in process both may be the same. It starts nothing; the clients stay the caller's.
func NewEtcd(client, watchClient *clientv3.Client) *Etcd {
	kv, inside := transactionClient(client)
	return &Etcd{client: client, kv: kv, inProcess: inside, watcher: watchClient, memberCount: len(client.Endpoints()), open: map[*openWatch]struct{}{}}
}

var _ Store = (*Etcd)(nil)

// VersionKey holds the version of the rules that writers keep to. Every role may read it.
const VersionKey = "/gantry/version"

// etcdTimeout bounds a call whose ctx has no deadline of its own.
const etcdTimeout = 10 * time.Second

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, etcdTimeout)
}

// Get is Store's Get.
func (e *Etcd) Get(ctx context.Context, key string, revision int64) (*KV, int64, error) {
	res, err := e.read(ctx, readAttemptTime, key, clientv3.WithRev(revision))
	if err != nil {
		return nil, 0, err
	}
	if len(res.Kvs) == 0 {
		return nil, res.Header.Revision, nil
	}
	return fromEtcd(res.Kvs[0]), res.Header.Revision, nil
}

// List is Store's List.
func (e *Etcd) List(ctx context.Context, start, end string, limit, revision int64) ([]*KV, int64, int64, error) {
	res, err := e.read(ctx, listAttemptTime, start, clientv3.WithRange(end), clientv3.WithLimit(limit), clientv3.WithRev(revision))
	if err != nil {
		return nil, 0, 0, err
	}
	kvs := make([]*KV, len(res.Kvs))
	for i, kv := range res.Kvs {
		kvs[i] = fromEtcd(kv)
	}
	return kvs, res.Count, res.Header.Revision, nil
}

// Revision is Store's Revision. It reads a key that every role may read.
func (e *Etcd) Revision(ctx context.Context) (int64, error) {
	if e.inProcess != nil && ctx.Err() == nil {
		rctx, cancel := bounded(ctx)
		defer cancel()
		if rev, err := e.inProcess.Revision(rctx); err == nil {
			return rev, nil
		} // else the read below says what is wrong
	}
	res, err := e.read(ctx, readAttemptTime, VersionKey, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return res.Header.Revision, nil
}

// revokeTimeout bounds giving a lease back; it runs out by itself where that fails.
const revokeTimeout = 2 * time.Second

// Grant is Store's Grant.
func (e *Etcd) Grant(ctx context.Context, ttl int64) (int64, <-chan struct{}, error) {
	gctx, cancel := bounded(ctx)
	defer cancel()
	res, err := e.client.Grant(gctx, ttl)
	if err != nil {
		return 0, nil, ReadError(gctx, err)
	}
	alive, err := e.client.KeepAlive(ctx, res.ID)
	if err != nil {
		return 0, nil, ReadError(ctx, err)
	}
	lost := make(chan struct{})
	go func() { // ends with ctx or the lease
		for range alive {
		}
		close(lost)
		if ctx.Err() == nil {
			return
		}
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
		defer cancel()
		_, _ = e.client.Revoke(rctx, res.ID)
	}()
	return int64(res.ID), lost, nil
}
