// Package eventstream writes the events of a watch to its client: those that are due in one piece, as often as all watchers' turns allow, and
// no longer than the client reads.
package eventstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
)

const (
	// WriteTimeout is how long one write to a watcher may take: a client that reads nothing is cut off.
	WriteTimeout = 30 * time.Second
	// bufferSize is the size up to which a watcher keeps its buffer between writes, and from which it sends it off.
	bufferSize = 32 << 10 // bytes
	// copySize is the size from which an object is not copied into the buffer.
	copySize = 8 << 10 // bytes
)

// Stream writes events to a client.
type Stream struct {
	*http.ResponseController
	w     http.ResponseWriter
	buf   []byte
	open  *atomic.Int64 // streams of the gateway
	wrote time.Time
	stall *time.Timer

	mu    sync.Mutex // guards until
	until time.Time  // a write going on is cut off then; zero: none is
}

// New returns the stream of an answer. open counts the streams of the gateway.
func New(w http.ResponseWriter, open *atomic.Int64) *Stream {
	s := &Stream{ResponseController: http.NewResponseController(w), w: w, open: open}
	s.stall = time.AfterFunc(time.Hour, s.cut)
	open.Add(1)
	return s
}

// Close ends the stream's counting; the answer ends with its handler.
func (s *Stream) Close() {
	s.stall.Stop()
	s.open.Add(-1)
}

// Run copies events until the watch ends or the client does.
func (s *Stream) Run(ctx context.Context, watcher *registry.Watcher, f *encode.EventFramer) {
	var events []registry.Event
	for {
		s.pause(ctx)
		var err error
		events, err = watcher.Next(ctx, events[:0])
		unconverted := f.Convert(events)
		for i := range events {
			if unconverted != nil && !f.Converted(&events[i]) {
				err = unconverted
				break
			}
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
		case errors.Is(err, registry.NotFound): // the kind is served with another schema now, or not any more: as in Kubernetes, the client watches anew
			return
		case err != nil:
			s.Fail(f, err)
			return
		}
	}
}

// One write to a watcher takes about writeTime. A watcher is not written to again before all others can have been: more writes
// of fewer events, each with a flush, would take longer in all. It waits maxPause at most, and with few watchers not at all.
const (
	writeTime = 25 * time.Microsecond
	maxPause  = 10 * time.Millisecond
)

func (s *Stream) pause(ctx context.Context) {
	turn := min(time.Duration(s.open.Load())*writeTime, maxPause)
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
func (s *Stream) write() error {
	s.begin()
	_, err := s.w.Write(s.buf)
	if err == nil {
		err = s.Flush()
	}
	s.end()
	s.wrote = time.Now()
	if cap(s.buf) > bufferSize {
		s.buf = nil
	}
	s.buf = s.buf[:0]
	return err
}

// add appends an event to the buffer, which it sends where it has grown large. A large object is not copied into it: the cache's
// bytes are shared by all watchers, and one that does not read must hold no copy. cut is the error of a write, err that of
// framing the event.
func (s *Stream) add(f *encode.EventFramer, ev *registry.Event) (cut, err error) {
	if f.Shaped() || ev.Item == nil || len(ev.Item.JSON) < copySize {
		if s.buf, err = f.Append(s.buf, ev); err != nil || len(s.buf) < bufferSize {
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
func (s *Stream) send(piece []byte) error {
	s.begin()
	_, err := s.w.Write(piece)
	s.end()
	s.buf = s.buf[:0]
	return err
}

// begin and end bound a write. A deadline set for every write would do the same, but costs messages to the connection's goroutine.
func (s *Stream) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Now().Add(WriteTimeout)
	s.stall.Reset(WriteTimeout)
}

func (s *Stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
	s.stall.Stop()
}

// cut ends a write that takes too long. It holds the lock, without which no write ends, so the stream has not been closed.
func (s *Stream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.until.IsZero() && !time.Now().Before(s.until) {
		_ = s.SetWriteDeadline(time.Now()) // where it cannot be set, the connection's own deadlines remain
	}
}

// Fail ends the stream with an ERROR event: the status line has long been sent.
func (s *Stream) Fail(f *encode.EventFramer, fault error) {
	var err error
	if s.buf, err = f.AppendError(s.buf, fault); err == nil {
		_ = s.write() // the stream ends in any case
	}
}
