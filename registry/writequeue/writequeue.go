// Package writequeue orders the writers of one key in one process, so that transactions that would conflict with each other are not sent
// to etcd. It only saves round trips: the transaction's compare guards the write.
package writequeue

import (
	"context"
	"sync"
)

// Queues are the writers of this process, by key. The zero value is ready.
type Queues struct {
	mu        sync.Mutex // guards all
	queues    map[string]*queue
	replacing map[string]*replacement
}

// queue is the writers of one key: the holder of its token may write. It exists while there are writers.
type queue struct {
	token chan struct{}
	users int // guarded by Queues.mu
}

// Contended tells whether writers queue for a key.
func (q *Queues) Contended(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queues[key] != nil
}

// Enter waits for the key's token; leave returns it. Go serves the receivers of a channel in order, so none
// starves. The error is ctx's.
func (q *Queues) Enter(ctx context.Context, key string) (leave func(), err error) {
	q.mu.Lock()
	mine := q.queues[key]
	if mine == nil {
		if q.queues == nil {
			q.queues = map[string]*queue{}
		}
		mine = &queue{token: make(chan struct{}, 1)}
		mine.token <- struct{}{}
		q.queues[key] = mine
	}
	mine.users++
	q.mu.Unlock()
	done := func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(q.queues, key)
		}
	}
	select {
	case <-mine.token:
		return func() { mine.token <- struct{}{}; done() }, nil
	case <-ctx.Done():
		done()
		return nil, ctx.Err()
	}
}

// replacement is a write on its way that replaces one revision of a key.
type replacement struct {
	rev  int64
	over chan struct{} // closed when its outcome is known
}

// Acquire waits until no other write of this process is about to replace the same revision: of those that name it one
// can succeed, and the others need not be sent to etcd. release lets the next one continue. The error is ctx's.
func (q *Queues) Acquire(ctx context.Context, key string, rev int64) (release func(), err error) {
	for {
		q.mu.Lock()
		before := q.replacing[key]
		if before == nil || before.rev != rev {
			mine := &replacement{rev: rev, over: make(chan struct{})}
			if q.replacing == nil {
				q.replacing = map[string]*replacement{}
			}
			q.replacing[key] = mine
			q.mu.Unlock()
			return func() { q.release(key, mine) }, nil
		}
		q.mu.Unlock()
		select {
		case <-before.over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *Queues) release(key string, r *replacement) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.replacing[key] == r {
		delete(q.replacing, key)
	}
	close(r.over)
}
