package store

import (
	"context"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// InProcess is implemented by the KV of a client whose etcd runs in this process.
type InProcess interface {
	// Direct is the etcd, called without a connection.
	Direct() pb.KVClient
	// Revision is the store's revision, linearizable.
	Revision(ctx context.Context) (int64, error)
	// Watch watches the keys in [start, end) from a revision on. A watch by way of the client takes ten goroutines and their memory.
	Watch(start, end string, from int64) (DirectWatch, error)
}

// DirectWatch is a watch of an etcd in this process.
type DirectWatch interface {
	// Next waits for changes, as a clientv3.WatchChan has them; false: ctx is done, or etcd has ended.
	Next(ctx context.Context) (clientv3.WatchResponse, bool)
	// Progress asks for a notice of progress, which comes by Next where all changes so far were handed out.
	Progress()
	// Close ends the watch. Neither Next nor Progress is called after it.
	Close()
}

// transactionClient is the gRPC client for transactions, and the etcd of this process; nil: etcd is another process.
func transactionClient(c *clientv3.Client) (pb.KVClient, InProcess) {
	if in, ok := c.KV.(InProcess); ok {
		return in.Direct(), in
	}
	return clientv3.RetryKVClient(c), nil
}

// Commit is Store's Commit. It makes the request itself: clientv3.Txn copies every value twice and every compare
// by reflection.
func (e *Etcd) Commit(ctx context.Context, t Txn) (TxnResult, error) {
	if ctx.Err() != nil { // etcd in this process may carry out what came too late
		return TxnResult{}, ReadError(ctx, ctx.Err())
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	req := txnRequest(t)
	res, err := e.kv.Txn(ctx, req, grpc.MaxCallRecvMsgSize(math.MaxInt32)) // as clientv3 has it
	if err != nil {
		return TxnResult{}, writeError(ctx, clientv3.ContextError(ctx, err))
	}
	out := TxnResult{Done: res.Succeeded, Revision: res.Header.Revision}
	if out.Done {
		return out, nil
	}
	out.Current = make(map[string]*KV, len(req.Failure))
	for i, r := range res.Responses {
		key := string(req.Failure[i].GetRequestRange().Key)
		out.Current[key] = nil
		if kvs := r.GetResponseRange().GetKvs(); len(kvs) > 0 {
			out.Current[key] = fromEtcd(kvs[0])
		}
	}
	return out, nil
}

func txnRequest(t Txn) *pb.TxnRequest {
	req := &pb.TxnRequest{}
	for _, c := range t.Compares {
		cmp := &pb.Compare{Key: []byte(c.Key), Result: pb.Compare_EQUAL}
		if c.Create {
			cmp.Target, cmp.TargetUnion = pb.Compare_CREATE, &pb.Compare_CreateRevision{CreateRevision: c.Revision}
		} else {
			cmp.Target, cmp.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: c.Revision}
		}
		req.Compare = append(req.Compare, cmp)
		if c.Unread {
			continue
		}
		req.Failure = append(req.Failure, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: cmp.Key}}})
	}
	for _, p := range t.Puts {
		req.Success = append(req.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
			RequestPut: &pb.PutRequest{Key: []byte(p.Key), Value: p.Value, Lease: p.Lease},
		}})
	}
	for _, key := range t.Deletes {
		req.Success = append(req.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
			RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key)},
		}})
	}
	return req
}
