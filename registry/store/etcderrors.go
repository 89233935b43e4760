package store

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func fromEtcd(kv *mvccpb.KeyValue) *KV {
	return &KV{Key: string(kv.Key), Value: kv.Value, ModRevision: kv.ModRevision, CreateRevision: kv.CreateRevision, Lease: kv.Lease}
}

// etcdErrors says what etcd's errors are here. unknown: a write that got it may have happened all the same.
var etcdErrors = map[error]struct {
	kind    ErrorKind
	reason  string
	unknown bool
}{
	rpctypes.ErrCompacted:                  {kind: Expired},
	rpctypes.ErrFutureRev:                  {kind: Unavailable},
	rpctypes.ErrNoSpace:                    {Unavailable, "etcd has no space left: its database has reached the quota; delete objects, compact, defragment and disarm the alarm", true},
	rpctypes.ErrCorrupt:                    {Unavailable, "etcd reports that a member's data are corrupt", true},
	rpctypes.ErrTimeout:                    {Timeout, "etcd did not answer in time", true},
	rpctypes.ErrTimeoutDueToLeaderFail:     {Timeout, "etcd did not answer in time, its leader was lost", true},
	rpctypes.ErrTimeoutDueToConnectionLost: {Timeout, "etcd did not answer in time, its members lost each other", true},
	rpctypes.ErrTimeoutWaitAppliedIndex:    {Timeout, "etcd did not answer in time, it is behind in applying", true},
	rpctypes.ErrLeaderChanged:              {Unavailable, "etcd's leader changed", true},
	rpctypes.ErrStopped:                    {Unavailable, "etcd is stopping", true},
	rpctypes.ErrNoLeader:                   {kind: Unavailable, reason: "etcd has no leader"},
	rpctypes.ErrNotLeader:                  {kind: Unavailable, reason: "etcd's member is not the leader"},
	rpctypes.ErrUnhealthy:                  {kind: Unavailable, reason: "etcd is unhealthy"},
	rpctypes.ErrNotCapable:                 {kind: Unavailable, reason: "etcd is not ready for this call"},
	rpctypes.ErrRequestTooLarge:            {kind: TooLarge, reason: "the object is larger than etcd takes"},
	rpctypes.ErrTooManyOps:                 {kind: TooLarge, reason: "the transaction has more operations than etcd takes"},
	rpctypes.ErrTooManyRequests:            {kind: TooManyRequests, reason: "etcd is behind, too many requests"},
	rpctypes.ErrPermissionDenied:           {kind: Forbidden, reason: "etcd's role does not allow it"},
	rpctypes.ErrAuthFailed:                 {kind: Forbidden, reason: "etcd does not know the user"},
	rpctypes.ErrInvalidAuthToken:           {kind: Forbidden, reason: "etcd does not take the token"},
	rpctypes.ErrLeaseNotFound:              {kind: NotFound, reason: "the lease has run out"},
}

// etcdRetry is what a client is asked to wait when etcd is away.
const etcdRetry = time.Second

// ReadError makes an error of etcd's client, which a read returned, one of the store.
func ReadError(ctx context.Context, err error) error { return classify(ctx, err, false) }

func writeError(ctx context.Context, err error) error { return classify(ctx, err, true) }

// classify makes an error of etcd's client one of the store.
func classify(ctx context.Context, err error, write bool) error {
	known := rpctypes.Error(err)
	if f, ok := etcdErrors[known]; ok {
		e := &Error{Kind: f.kind, Reason: f.reason, Cause: known, UnknownOutcome: write && f.unknown}
		if e.Kind == Unavailable || e.Kind == TooManyRequests {
			e.RetryAfter = etcdRetry
		}
		return e
	}
	e := &Error{Kind: Unavailable, Cause: err, UnknownOutcome: write, RetryAfter: etcdRetry, Reason: "etcd is away: " + err.Error()}
	switch code := codeOf(known, err); {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		e.Kind, e.Reason, e.RetryAfter, e.Cause = Timeout, "the request was cancelled", 0, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded) || code == codes.DeadlineExceeded || ctx.Err() != nil:
		e.Kind, e.Reason = Timeout, "etcd did not answer in time"
	case errors.Is(err, clientv3.ErrNoAvailableEndpoints):
		e.UnknownOutcome = false
	}
	return e
}

// codeOf is the gRPC code of an error, codes.Unknown where it has none.
func codeOf(errs ...error) codes.Code {
	for _, err := range errs {
		var known rpctypes.EtcdError
		if errors.As(err, &known) {
			return known.Code()
		}
		if s, ok := status.FromError(err); ok {
			return s.Code()
		}
	}
	return codes.Unknown
}

// OutOfSpace tells that etcd takes deletions only.
func OutOfSpace(err error) bool { return errors.Is(err, rpctypes.ErrNoSpace) }

var errCompacted = &Error{Kind: Expired, Reason: "etcdserver: mvcc: required revision has been compacted"}

// ContextError is the error of a call whose ctx is done.
func ContextError(ctx context.Context) error {
	err := ctx.Err()
	reason := "the request was cancelled"
	if errors.Is(err, context.DeadlineExceeded) {
		reason = "the request did not complete within its timeout"
	}
	return &Error{Kind: Timeout, Reason: reason, Cause: err}
}
