package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gantry/registry"
)

const (
	// watchLife is how long a watch lasts at least when its client names no time; up to twice that, so that
	// watches opened together do not end together.
	watchLife = 30 * time.Minute
	// watchStall is how long one write to a watcher may take: a client that reads nothing is cut off.
	watchStall = 30 * time.Second
	// watchBuffer is the size up to which a watcher keeps its buffer between writes, and from which it sends it off.
	watchBuffer = 32 << 10 // bytes
	// watchCopy is the size from which an object is not copied into the buffer.
	watchCopy = 8 << 10 // bytes
)

// watch streams the changes of a collection. One goroutine serves it: it takes every event that is due, writes them in one
// piece and flushes once.
func (g *gateway) watch(w http.ResponseWriter, r *request) error {
	o, life, err := watchOptions(r.query)
	if err != nil {
		return err
	}
	framer, err := newFramer(r)
	if err != nil {
		return err
	}
	if life <= 0 {
		life = watchLife + rand.N(watchLife)
	}
	ctx, cancel := context.WithTimeout(r.Context(), life)
	defer cancel()
	defer context.AfterFunc(stopping(ctx), cancel)()
	watcher, err := g.reg.Watch(ctx, r.kind, r.scope(), o)
	if err != nil && !errors.Is(err, registry.Expired) {
		return err
	}
	s := newEventStream(w, &g.watchers)
	defer s.close()
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(http.StatusOK)
	if s.Flush() != nil {
		return nil
	}
	if err != nil {
		s.fail(err)
		return nil
	}
	s.run(ctx, watcher, framer)
	return nil
}

// eventStream writes frames to a client.
type eventStream struct {
	*http.ResponseController
	w      http.ResponseWriter
	buf    []byte
	others *atomic.Int64 // streams open at the gateway
	wrote  time.Time
	stall  *time.Timer

	mu    sync.Mutex // guards until
	until time.Time  // a write going on is cut off then; zero: none is
}

func newEventStream(w http.ResponseWriter, others *atomic.Int64) *eventStream {
	s := &eventStream{ResponseController: http.NewResponseController(w), w: w, others: others}
	s.stall = time.AfterFunc(watchLife, s.cut)
	others.Add(1)
	return s
}

func (s *eventStream) close() {
	s.stall.Stop()
	s.others.Add(-1)
}

// run copies events until the watch ends or the client does.
func (s *eventStream) run(ctx context.Context, watcher *registry.Watcher, f *framer) {
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
		case ctx.Err() != nil || stopping(ctx).Err() != nil: // the registry may end with the gateway, and be noticed first
			return
		case err != nil:
			s.fail(err)
			return
		}
	}
}

// A write to every watcher takes the machine about watchTurn for each of them. To begin a round before the one before can
// have ended would only make more rounds of fewer events, each with a flush: so that long passes between two writes to one
// watcher, but never more than watchPause. A few watchers wait for nothing.
const (
	watchTurn  = 25 * time.Microsecond
	watchPause = 10 * time.Millisecond
)

func (s *eventStream) pause(ctx context.Context) {
	turn := min(time.Duration(s.others.Load())*watchTurn, watchPause)
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

// add puts an event into the buffer, which it sends off where it has grown large. A large object is not copied there: its
// bytes are everybody's, and a watcher that does not read must hold no copy. cut is why the client cannot be reached, err why
// the event cannot be framed.
func (s *eventStream) add(f *framer, ev *registry.Event) (cut, err error) {
	if f.r.shape.as != "" || ev.Item == nil || len(ev.Item.JSON) < watchCopy {
		if s.buf, err = f.frame(s.buf, ev); err != nil || len(s.buf) < watchBuffer {
			return nil, err
		}
		return s.send(s.buf), nil
	}
	if cut = s.send(appendHead(s.buf, string(ev.Type))); cut == nil {
		cut = s.send(ev.Item.JSON)
	}
	s.buf = append(s.buf, frameEnd...)
	return cut, nil
}

// send writes a piece, of the buffer or of others, and leaves the buffer empty.
func (s *eventStream) send(piece []byte) error {
	s.begin()
	_, err := s.w.Write(piece)
	s.end()
	s.buf = s.buf[:0]
	return err
}

// begin and end bound a write. A deadline set for every write would do, but costs messages to the connection's goroutine.
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

// cut ends a write that takes too long. It holds the lock, without which no write ends: so the stream is there still.
func (s *eventStream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.until.IsZero() && !time.Now().Before(s.until) {
		_ = s.SetWriteDeadline(time.Now()) // where it cannot be set only the connection's own apply
	}
}

// fail ends the stream with an ERROR event: the status line has long been sent.
func (s *eventStream) fail(err error) {
	status, jsonErr := json.Marshal(statusOf(err))
	if jsonErr != nil {
		return
	}
	s.buf = appendFrame(s.buf, "ERROR", status)
	_ = s.write() // it is the last thing said, and nobody is left to tell
}

// framer writes events in the shape that the client asked for.
type framer struct {
	r     *request
	table *tabler // nil: not a table
	begun bool    // the table's columns have been sent
}

func newFramer(r *request) (*framer, error) {
	f := &framer{r: r}
	if r.shape.as == "Table" {
		t, err := newTabler(r)
		if err != nil {
			return nil, err
		}
		f.table = t
	}
	return f, nil
}

// frame appends one event: {"type":"ADDED","object":{...}} and a newline.
func (f *framer) frame(b []byte, ev *registry.Event) ([]byte, error) {
	if f.r.shape.as == "" && ev.Item != nil {
		return appendFrame(b, string(ev.Type), ev.Item.JSON), nil
	}
	object, err := f.shaped(ev)
	if err != nil {
		return b, err
	}
	return appendFrame(b, string(ev.Type), object), nil
}

func (f *framer) shaped(ev *registry.Event) ([]byte, error) {
	item := ev.Item
	if item == nil {
		if f.r.shape.as == "" {
			return f.bookmark(ev), nil
		}
		item = &registry.Item{Kind: f.r.kind, Revision: ev.Revision, JSON: f.bookmark(ev)}
	}
	if f.table == nil {
		return appendPartial(nil, item.JSON, f.r.shape.version)
	}
	columns := !f.begun
	f.begun = true
	f.table.now.Time = time.Now()
	return f.table.table(nil, revisionMeta(ev.Revision), []*registry.Item{item}, columns)
}

// bookmark is an object that says a revision and nothing else.
func (f *framer) bookmark(ev *registry.Event) []byte {
	b := append([]byte(nil), `{"kind":"`...)
	b = append(b, f.r.kind.Kind...)
	b = append(b, `","apiVersion":"`...)
	b = append(b, f.r.kind.APIVersion()...)
	b = append(b, `","metadata":{"resourceVersion":"`...)
	b = strconv.AppendInt(b, ev.Revision, 10)
	b = append(b, `","creationTimestamp":null`...)
	if ev.InitialEnd {
		b = append(b, `,"annotations":{"k8s.io/initial-events-end":"true"}`...)
	}
	return append(b, "}}"...)
}

func appendFrame(b []byte, kind string, object []byte) []byte {
	return append(append(appendHead(b, kind), object...), frameEnd...)
}

func appendHead(b []byte, kind string) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	return append(b, `","object":`...)
}

const frameEnd = "}\n"
