package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

// A body is received before its request takes a place among those that are served: a client that promises one and does not send
// it holds up nobody. Bodies on their way end with the time of their requests, and are bounded for each user in number and in
// memory.
const (
	// smallBody is up to where the memory of a body is not counted, in bytes.
	smallBody = 64 << 10
	// bodyMemory is what the larger bodies of all users may take together, and userMemory those of one, in bytes.
	bodyMemory = 256 << 20
	userMemory = 64 << 20
)

// bodies counts what is on its way and what is in memory.
type bodies struct {
	most int // of one user on their way

	mu     sync.Mutex // guards what follows
	memory int64
	by     map[string]userBodies
}

type userBodies struct {
	waiting int
	memory  int64
}

func newBodies(most int) *bodies { return &bodies{most: most, by: map[string]userBodies{}} }

// enter notes that a user's body is on its way; false: there are too many.
func (b *bodies) enter(user string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.by[user]
	if u.waiting >= b.most {
		return false
	}
	u.waiting++
	b.by[user] = u
	return true
}

// arrived notes that a body is not on its way any more.
func (b *bodies) arrived(user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.by[user]
	u.waiting--
	b.set(user, u)
}

// take counts n more bytes of memory, or fewer; false: there is no room for them.
func (b *bodies) take(user string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.by[user]
	if n > 0 && (b.memory+n > bodyMemory || u.memory+n > userMemory) {
		return false
	}
	b.memory += n
	u.memory += n
	b.set(user, u)
	return true
}

func (b *bodies) set(user string, u userBodies) {
	if u == (userBodies{}) {
		delete(b.by, user)
	} else {
		b.by[user] = u
	}
}

// received is the body of a request that has arrived.
type received struct {
	bytes.Reader
	data []byte

	of      *bodies
	user    string
	counted int64 // of its memory
}

// Bytes is the body.
func (b *received) Bytes() []byte { return b.data }

// Close does nothing: the body belongs to the request until that has been served.
func (*received) Close() error { return nil }

// release gives a body's memory back.
func (b *received) release() {
	if b != nil && b.counted > 0 {
		b.of.take(b.user, -b.counted)
	}
}

// receive reads a request's body, where it has one that the gateway looks at. What it returns, nil for none, is to be released
// when the request has been served, with an error as well.
func (g *gateway) receive(w http.ResponseWriter, r *request.Request) (*received, error) {
	switch {
	case r.ContentLength == 0 || upgrades(r.Subresource):
		return nil, nil
	case r.ContentLength > decode.MaxBody:
		return nil, &http.MaxBytesError{Limit: decode.MaxBody}
	}
	body := &received{of: g.bodies, user: r.User.Username}
	if !g.bodies.enter(body.user) {
		return nil, apierrors.NewTooManyRequests(encode.TooMany, 1)
	}
	defer g.bodies.arrived(body.user)
	if r.LongRunning() { // it has no time of its own
		defer g.endBody(w)()
	}
	if err := body.read(r.Body, int(r.ContentLength)); err != nil {
		return body, bodyError(r.Context(), err)
	}
	r.Request.Body = body
	return body, nil
}

// bodyError words why a body did not arrive.
func bodyError(ctx context.Context, err error) error {
	var large *http.MaxBytesError
	var status *apierrors.StatusError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &large), errors.As(err, &status):
		return err
	}
	return apierrors.NewBadRequest(fmt.Sprintf("error reading the request body: %v", err)) // broken off, or not as HTTP has it
}

// endBody ends the body of a long-running request after a request's time; stop says that it has arrived.
func (g *gateway) endBody(w http.ResponseWriter) (stop func()) {
	ended := make(chan struct{})
	late := time.AfterFunc(g.cfg.RequestTimeout, func() {
		defer close(ended)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	})
	return func() {
		if !late.Stop() {
			<-ended // w may not be used any more once the handler has returned
		}
	}
}

// upgrades tells the subresources whose connection becomes a stream: what follows the head is not the gateway's to read.
func upgrades(subresource string) bool {
	return subresource == "exec" || subresource == "attach" || subresource == "portforward"
}

// read reads a body within its bound. Memory grows with what has arrived, not with what was promised (size, -1: nothing).
func (b *received) read(from io.Reader, size int) error {
	const spare = 1 // with no room left the end of the body could not be found
	first := bytes.MinRead
	if size > 0 {
		first = min(size, smallBody) + spare
	}
	data := make([]byte, 0, first)
	for {
		n, err := from.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > decode.MaxBody:
			return &http.MaxBytesError{Limit: decode.MaxBody}
		case err == io.EOF:
			b.data = data
			b.Reset(data)
			return nil
		case err != nil:
			return err
		}
		if len(data) < cap(data) {
			continue
		}
		room := min(2*cap(data), decode.MaxBody+2*spare)
		if size >= 0 {
			room = min(room, max(size, len(data))+2*spare)
		}
		if more := int64(room - max(cap(data), smallBody)); more > 0 {
			if !b.of.take(b.user, more) {
				return apierrors.NewTooManyRequests(encode.TooMany, 1)
			}
			b.counted += more
		}
		data = append(make([]byte, 0, room), data...)
	}
}
