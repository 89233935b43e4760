package store

import (
	"context"
	"errors"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How long one member has to answer a read before all are asked: it may be defragmenting, stopped or partitioned. A list has more time, as it
// may be large.
const (
	readAttemptTime = time.Second
	listAttemptTime = 3 * time.Second
)

// read reads keys. attempt is how long the first member has.
func (e *Etcd) read(ctx context.Context, attempt time.Duration, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if ctx.Err() != nil {
		return nil, ReadError(ctx, ctx.Err())
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	first, stop := ctx, func() {}
	if e.memberCount > 1 {
		first, stop = context.WithTimeout(ctx, attempt)
	}
	res, err := e.client.Get(first, key, opts...)
	late := first.Err() != nil && ctx.Err() == nil
	stop()
	if err != nil && late {
		return e.readAnywhere(ctx, attempt, key, opts...)
	}
	if err != nil {
		return nil, ReadError(ctx, err)
	}
	return res, nil
}

// readAnywhere sends as many requests at once as there are members (etcd's client goes through them in turn), and again after each attempt's time.
func (e *Etcd) readAnywhere(ctx context.Context, attempt time.Duration, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	type answer struct {
		res *clientv3.GetResponse
		err error
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer)
	repeat := time.NewTimer(0)
	defer repeat.Stop()
	for {
		select {
		case <-repeat.C:
			for range e.memberCount {
				wg.Go(func() {
					res, err := e.client.Get(ctx, key, opts...)
					select {
					case answers <- answer{res, err}:
					case <-ctx.Done():
					}
				})
			}
			repeat.Reset(attempt)
		case a := <-answers:
			if a.err == nil {
				return a.res, nil
			}
			if err := ReadError(ctx, a.err); !errors.Is(err, Unavailable) && !errors.Is(err, Timeout) {
				return nil, err // any member's answer
			}
		case <-ctx.Done():
			return nil, ReadError(ctx, ctx.Err())
		}
	}
}
