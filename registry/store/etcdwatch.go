package store

import (
	"context"
	"errors"
	"strconv"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// Every watch has a gRPC stream of its own; the client tells streams apart by the outgoing metadata. On a shared stream
// etcd answers a request for progress only when all watches have caught up; the client hands the answer to all of them,
// also to one that was opened meanwhile and has its history still to come; and a slow one delays the others (etcd#18879).
const streamHeader = "gantry-watch"

// openWatch is a watch that can be asked for its progress.
type openWatch struct {
	start  string
	stream string
	direct DirectWatch // nil: it is a stream
	mu     sync.Mutex  // guards ended, and is held while progress is asked for: that would open a new stream after the end
	ended  bool
}

func (o *openWatch) context(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(ctx), streamHeader, o.stream)
}

// addWatch notes a new watch and names its stream; remove is called before it ends.
func (e *Etcd) addWatch(start string, direct DirectWatch) (o *openWatch, remove func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count++
	o = &openWatch{start: start, stream: strconv.FormatInt(e.count, 10), direct: direct}
	e.open[o] = struct{}{}
	return o, func() {
		o.mu.Lock()
		o.ended = true
		o.mu.Unlock()
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.open, o)
	}
}

// Progress is Store's Progress.
func (e *Etcd) Progress(ctx context.Context, start string) error {
	e.mu.Lock()
	var asked []*openWatch
	for o := range e.open {
		if o.start == start {
			asked = append(asked, o)
		}
	}
	e.mu.Unlock()
	for _, o := range asked {
		if err := e.requestProgress(ctx, o); err != nil {
			return ReadError(ctx, err)
		}
	}
	return nil
}

// requestProgress asks one watch for its progress.
func (e *Etcd) requestProgress(ctx context.Context, o *openWatch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return nil
	case o.direct != nil:
		o.direct.Progress()
		return nil
	}
	return e.watcher.RequestProgress(o.context(ctx))
}

// Watch is Store's Watch.
func (e *Etcd) Watch(ctx context.Context, start, end string, from int64, prev bool) <-chan WatchBatch {
	out := make(chan WatchBatch)
	go func() { // ends with ctx or the watch
		defer close(out)
		w := &etcdWatch{out: out, from: from, prev: prev}
		// From one revision before: etcd does not tell the progress of a watch that starts in the future.
		err := e.stream(ctx, w, start, end, max(from-1, 1))
		if errors.Is(err, Expired) && w.compacted <= from && !w.sent {
			err = e.stream(ctx, w, start, end, from)
		}
		if ctx.Err() != nil {
			return
		}
		last := WatchBatch{Err: err}
		if errors.Is(err, Expired) {
			last.Revision = w.compacted
		}
		select {
		case out <- last:
		case <-ctx.Done():
		}
	}()
	return out
}

// stream passes the changes from a revision on to w until the watch ends; it returns why.
func (e *Etcd) stream(ctx context.Context, w *etcdWatch, start, end string, from int64) error {
	if e.inProcess != nil && !w.prev {
		return e.streamDirectly(ctx, w, start, end, from)
	}
	o, remove := e.addWatch(start, nil)
	wctx, cancel := context.WithCancel(o.context(context.WithoutCancel(ctx)))
	finish := func() { remove(); cancel() }
	defer finish()
	defer context.AfterFunc(ctx, finish)()
	opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithRev(from), clientv3.WithFragment()}
	if w.prev {
		opts = append(opts, clientv3.WithPrevKV())
	}
	responses := e.watcher.Watch(wctx, start, opts...)
	return w.run(ctx, func() (clientv3.WatchResponse, bool) {
		res, ok := <-responses
		return res, ok
	})
}

// streamDirectly is stream where etcd is in this process.
func (e *Etcd) streamDirectly(ctx context.Context, w *etcdWatch, start, end string, from int64) error {
	watch, err := e.inProcess.Watch(start, end, from)
	if err != nil {
		return ReadError(ctx, err)
	}
	defer watch.Close()
	_, remove := e.addWatch(start, watch)
	defer remove()
	return w.run(ctx, func() (clientv3.WatchResponse, bool) { return watch.Next(ctx) })
}

// etcdWatch turns responses into batches.
type etcdWatch struct {
	out       chan<- WatchBatch
	from      int64
	prev      bool  // the state before each change is asked for
	sent      bool  // something was sent
	compacted int64 // the revision that etcd compacted at, where that ended the watch
}

// run passes responses on until the watch ends; it returns why.
func (w *etcdWatch) run(ctx context.Context, next func() (clientv3.WatchResponse, bool)) error {
	for res, ok := next(); ok; res, ok = next() {
		if res.CompactRevision > 0 {
			w.compacted = res.CompactRevision
			return errCompacted
		}
		if err := res.Err(); err != nil {
			return ReadError(ctx, err)
		}
		b := w.batch(&res)
		if len(b.Events) == 0 && b.Revision == 0 {
			continue
		}
		select {
		case w.out <- b:
			w.sent = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return &Error{Kind: Unavailable, Reason: "the watch of etcd ended", Cause: ctx.Err()}
}

// batch is a response as a batch. The client has put fragments together again, so no revision is parted. Only a notice of
// progress says that everything up to the header's revision was sent: with events the header may be ahead of them.
func (w *etcdWatch) batch(res *clientv3.WatchResponse) WatchBatch {
	if res.IsProgressNotify() {
		if res.Header.Revision < w.from-1 {
			return WatchBatch{}
		}
		return WatchBatch{Revision: res.Header.Revision}
	}
	b := WatchBatch{Events: make([]Event, 0, len(res.Events))}
	for _, ev := range res.Events {
		if ev.Kv.ModRevision < w.from {
			continue
		}
		e := Event{KV: fromEtcd(ev.Kv), Delete: ev.Type == clientv3.EventTypeDelete}
		if ev.PrevKv != nil {
			e.Prev = fromEtcd(ev.PrevKv)
		}
		b.Events = append(b.Events, e)
		b.Revision = ev.Kv.ModRevision
	}
	return b
}
