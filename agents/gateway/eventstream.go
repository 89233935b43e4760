package gateway

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
)

// eventStream writes frames to a client.
type eventStream struct {
	*http.ResponseController
	w     http.ResponseWriter
	buf   []byte
	open  *atomic.Int64 // streams of the gateway
	wrote time.Time
	stall *time.Timer

	mu    sync.Mutex // guards until
	until time.Time  // a write going on is cut off then; zero: none is
}

func newEventStream(w http.ResponseWriter, open *atomic.Int64) *eventStream {
	s := &eventStream{ResponseController: http.NewResponseController(w), w: w, open: open}
	s.stall = time.AfterFunc(watchLife, s.cut)
	open.Add(1)
	return s
}

func (s *eventStream) close() {
	s.stall.Stop()
	s.open.Add(-1)
}

// run copies events until the watch ends or the client does.
func (s *eventStream) run(ctx context.Context, watcher *registry.Watcher, f *encode.EventFramer) {
	var events []registry.Event
	for {
		s.pause(ctx)
		var err error
		events, err = watcher.Next(ctx, events[:0])
		for i := range events {
			cut, bad := s.add(f, &events[i])
			if cut != nil {
				return
			}
			if bad != nil {
				err = bad
				break
			}
		}
		clear(events) // the buffer must not keep objects alive while the watch waits
		if len(s.buf) > 0 && s.write() != nil {
			return
		}
		switch {
		case ctx.Err() != nil || request.Stopping(ctx).Err() != nil: // the registry may end with the gateway, and be noticed first
			return
		case err != nil:
			s.fail(f, err)
			return
		}
	}
}

// One write to a watcher takes about watchWriteTime. A watcher is not written to again before all others can have been: more writes
// of fewer events, each with a flush, would take longer in all. It waits watchPause at most, and with few watchers not at all.
const (
	watchWriteTime = 25 * time.Microsecond
	watchPause     = 10 * time.Millisecond
)

func (s *eventStream) pause(ctx context.Context) {
	turn := min(time.Duration(s.open.Load())*watchWriteTime, watchPause)
	left := turn - time.Since(s.wrote)
	if turn < time.Millisecond || left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// write sends what is in the buffer and flushes it.
func (s *eventStream) write() error {
	s.begin()
	_, err := s.w.Write(s.buf)
	if err == nil {
		err = s.Flush()
	}
	s.end()
	s.wrote = time.Now()
	if cap(s.buf) > watchBuffer {
		s.buf = nil
	}
	s.buf = s.buf[:0]
	return err
}

// add appends an event to the buffer, which it sends where it has grown large. A large object is not copied into it: the cache's
// bytes are shared by all watchers, and one that does not read must hold no copy. cut is the error of a write, err that of
// framing the event.
func (s *eventStream) add(f *encode.EventFramer, ev *registry.Event) (cut, err error) {
	if f.Shaped() || ev.Item == nil || len(ev.Item.JSON) < watchCopy {
		if s.buf, err = f.Append(s.buf, ev); err != nil || len(s.buf) < watchBuffer {
			return nil, err
		}
		return s.send(s.buf), nil
	}
	if cut = s.send(encode.AppendEventHead(s.buf, string(ev.Type))); cut == nil {
		cut = s.send(ev.Item.JSON)
	}
	s.buf = append(s.buf, encode.EventEnd...)
	return cut, nil
}

// send writes a piece and empties the buffer.
func (s *eventStream) send(piece []byte) error {
	s.begin()
	_, err := s.w.Write(piece)
	s.end()
	s.buf = s.buf[:0]
	return err
}

// begin and end bound a write. A deadline set for every write would do the same, but costs messages to the connection's goroutine.
func (s *eventStream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Now().Add(watchStall)
	s.stall.Reset(watchStall)
}

func (s *eventStream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
	s.stall.Stop()
}

// cut ends a write that takes too long. It holds the lock, without which no write ends, so the stream has not been closed.
func (s *eventStream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.until.IsZero() && !time.Now().Before(s.until) {
		_ = s.SetWriteDeadline(time.Now()) // where it cannot be set, the connection's own deadlines remain
	}
}

// fail ends the stream with an ERROR event: the status line has long been sent.
func (s *eventStream) fail(f *encode.EventFramer, fault error) {
	var err error
	if s.buf, err = f.AppendError(s.buf, fault); err == nil {
		_ = s.write() // the stream ends in any case
	}
}
