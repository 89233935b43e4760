package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A body is received before its request takes a place among those that are served: a client that promises one and does not send
// it holds up nobody. Bodies on their way are bounded in time, and for each user in number and in memory.
const (
	bodyTimeout = 30 * time.Second
	// smallBody is up to where the memory of a body is not counted, in bytes.
	smallBody = 64 << 10
	// bodyMemory is what the larger bodies of all users may take together, and userMemory those of one, in bytes.
	bodyMemory = 256 << 20
	userMemory = 64 << 20
)

// received is the body of a request that has arrived.
type received struct {
	bytes.Reader
	data []byte
}

// Close does nothing.
func (*received) Close() error { return nil }

// bodies counts what is on its way and what is in memory.
type bodies struct {
	most int // of one user on their way

	mu     sync.Mutex // guards what follows
	memory int64
	by     map[string]*userBodies
}

type userBodies struct {
	waiting int
	memory  int64
}

func newBodies(most int) *bodies { return &bodies{most: most, by: map[string]*userBodies{}} }

// enter notes that a user's body is on its way; false: there are too many.
func (b *bodies) enter(user string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.by[user]
	if u == nil {
		u = &userBodies{}
		b.by[user] = u
	}
	if u.waiting >= b.most {
		return false
	}
	u.waiting++
	return true
}

// arrived notes that a body is not on its way any more.
func (b *bodies) arrived(user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.by[user].waiting--
	b.forget(user)
}

// take counts n more bytes of memory; false: there is no room for them.
func (b *bodies) take(user string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.by[user]
	if b.memory+n > bodyMemory || u.memory+n > userMemory {
		return false
	}
	b.memory += n
	u.memory += n
	return true
}

// release gives n bytes back.
func (b *bodies) release(user string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memory -= n
	b.by[user].memory -= n
	b.forget(user)
}

func (b *bodies) forget(user string) {
	if *b.by[user] == (userBodies{}) {
		delete(b.by, user)
	}
}

// receive reads a request's body, where it has one that the gateway looks at. release gives its memory back when the request has
// been served.
func (g *gateway) receive(w http.ResponseWriter, r *request) (release func(), err error) {
	release = func() {}
	switch {
	case r.ContentLength == 0 || upgrades(r.subresource):
		return release, nil
	case r.ContentLength > maxBody:
		return release, &http.MaxBytesError{Limit: maxBody}
	}
	user := r.user.Username
	if !g.bodies.enter(user) {
		return release, apierrors.NewTooManyRequests(tooMany, 1)
	}
	defer g.bodies.arrived(user)
	defer g.endBody(w, r)()
	var counted int64
	data, err := readAll(r.Body, int(r.ContentLength), func(n int64) bool {
		ok := g.bodies.take(user, n)
		if ok {
			counted += n
		}
		return ok
	})
	if counted > 0 {
		release = func() { g.bodies.release(user, counted) }
	}
	if err != nil {
		return release, bodyError(err)
	}
	body := &received{data: data}
	body.Reset(data)
	r.Request.Body = body
	return release, nil
}

// bodyError words why a body did not arrive.
func bodyError(err error) error {
	var large *http.MaxBytesError
	var status *apierrors.StatusError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &large), errors.As(err, &status):
		return err
	}
	return apierrors.NewBadRequest(err.Error()) // broken off, or not as HTTP has it
}

// endBody ends the body when its time is over, which is not longer than the request's; stop says that it has arrived.
func (g *gateway) endBody(w http.ResponseWriter, r *request) (stop func()) {
	left := min(bodyTimeout, g.cfg.RequestTimeout)
	if end, ok := r.Context().Deadline(); ok {
		left = min(left, time.Until(end))
	}
	ended := make(chan struct{})
	late := time.AfterFunc(left, func() {
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

// readAll reads a body within its bound. Memory grows with what has arrived, not with what was promised (size, -1: nothing);
// more asks for what a body takes beyond smallBody.
func readAll(body io.Reader, size int, more func(n int64) bool) ([]byte, error) {
	const spare = 1 // with no room left the end of the body could not be found
	first := bytes.MinRead
	if size > 0 {
		first = min(size, smallBody) + spare
	}
	b := make([]byte, 0, first)
	for {
		n, err := body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > maxBody:
			return nil, &http.MaxBytesError{Limit: maxBody}
		case err == io.EOF:
			return b, nil
		case err != nil:
			return nil, err
		}
		if len(b) < cap(b) {
			continue
		}
		room := min(2*cap(b), maxBody+2*spare)
		if size >= 0 {
			room = min(room, max(size, len(b))+2*spare)
		}
		if room > smallBody && !more(int64(room-max(cap(b), smallBody))) {
			return nil, apierrors.NewTooManyRequests(tooMany, 1)
		}
		b = append(make([]byte, 0, room), b...)
	}
}
