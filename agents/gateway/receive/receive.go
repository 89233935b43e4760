// Package receive receives the bodies of requests, bounded for each user in number and in memory.
package receive

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

// A body is received before its request counts as in flight: a client that announces a body and does not send it blocks no other.
// Receiving ends with the request's deadline, and is bounded for each user in number and in memory.
const (
	// smallBody is up to where the memory of a body is not counted, in bytes.
	smallBody = 64 << 10
	// bodyMemory is what the larger bodies of all users may take together, and userMemory those of one, in bytes.
	bodyMemory = 256 << 20
	userMemory = 64 << 20
)

// Limits count the bodies that are being received and the memory of those that have been.
type Limits struct {
	most int // of one user being received

	mu     sync.Mutex // guards what follows
	memory int64
	by     map[string]userBodies
}

type userBodies struct {
	receiving int
	memory    int64
}

// NewLimits returns limits under which most bodies of one user are received at once.
func NewLimits(most int) *Limits { return &Limits{most: most, by: map[string]userBodies{}} }

// begin counts a body that is being received; false: there are too many.
func (b *Limits) begin(user string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.by[user]
	if u.receiving >= b.most {
		return false
	}
	u.receiving++
	b.by[user] = u
	return true
}

// end undoes begin.
func (b *Limits) end(user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.by[user]
	u.receiving--
	b.set(user, u)
}

// reserve counts n bytes of memory, or with a negative n releases them; false: they exceed a limit.
func (b *Limits) reserve(user string, n int64) bool {
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

func (b *Limits) set(user string, u userBodies) {
	if u == (userBodies{}) {
		delete(b.by, user)
	} else {
		b.by[user] = u
	}
}

// Body is the body of a request, received whole.
type Body struct {
	bytes.Reader
	data []byte

	limits  *Limits
	user    string
	counted int64 // of its memory
}

// Bytes is the body.
func (b *Body) Bytes() []byte { return b.data }

// Close does nothing: the body is released when the request has been served.
func (*Body) Close() error { return nil }

// Release releases a body's memory; b may be nil.
func (b *Body) Release() {
	if b != nil && b.counted > 0 {
		b.limits.reserve(b.user, -b.counted)
	}
}

// Receive reads a request's body, where it has one that the gateway reads. A long-running request has no deadline: its body has timeout. The
// caller releases what is returned, nil for none, when the request has been served, also with an error.
func (b *Limits) Receive(w http.ResponseWriter, r *request.Request, timeout time.Duration) (*Body, error) {
	switch {
	case r.ContentLength == 0 || r.Sub.IsConnection():
		return nil, nil
	case r.ContentLength > decode.MaxBody:
		return nil, &http.MaxBytesError{Limit: decode.MaxBody}
	}
	body := &Body{limits: b, user: r.User.Username}
	if !b.begin(body.user) {
		return nil, apierrors.NewTooManyRequests(encode.TooMany, 1)
	}
	defer b.end(body.user)
	if r.LongRunning() { // it has no deadline
		defer endBody(w, timeout)()
	}
	if err := body.read(r.Body, int(r.ContentLength)); err != nil {
		return body, bodyError(r.Context(), err)
	}
	r.Request.Body = body
	return body, nil
}

// bodyError is the error of a body that was not received.
func bodyError(ctx context.Context, err error) error {
	var large *http.MaxBytesError
	var status *apierrors.StatusError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &large), errors.As(err, &status):
		return err
	}
	return apierrors.NewBadRequest(fmt.Sprintf("error reading the request body: %v", err)) // broken off, or malformed
}

// endBody ends the receiving of a long-running request's body after timeout; stop ends that.
func endBody(w http.ResponseWriter, timeout time.Duration) (stop func()) {
	ended := make(chan struct{})
	late := time.AfterFunc(timeout, func() {
		defer close(ended)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	})
	return func() {
		if !late.Stop() {
			<-ended // w may not be used any more once the handler has returned
		}
	}
}

// read reads a body within its bound. Memory grows with what has been received, not with the Content-Length (size; -1: none).
func (b *Body) read(from io.Reader, size int) error {
	const spare = 1 // byte, to read the end of the body into
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
		capacity := min(2*cap(data), decode.MaxBody+2*spare)
		if size >= 0 {
			capacity = min(capacity, max(size, len(data))+2*spare)
		}
		if more := int64(capacity - max(cap(data), smallBody)); more > 0 {
			if !b.limits.reserve(b.user, more) {
				return apierrors.NewTooManyRequests(encode.TooMany, 1)
			}
			b.counted += more
		}
		data = append(make([]byte, 0, capacity), data...)
	}
}
