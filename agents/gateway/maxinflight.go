package gateway

import "sync"

// maxInFlight bounds the requests that are served at once, as --max-requests-inflight does. A request is counted from when its
// user is known and its body has been received. The last quarter is for users who hold less than a quarter, so that no user takes
// all.
type maxInFlight struct {
	size int

	mu   sync.Mutex // guards what follows
	held int
	by   map[string]int // user
}

func newMaxInFlight(size int) *maxInFlight { return &maxInFlight{size: size, by: map[string]int{}} }

// acquire counts a request of a user; false: there are too many.
func (p *maxInFlight) acquire(user string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	share := p.size / 4
	if p.held >= p.size || p.size-p.held <= share && p.by[user] >= share {
		return false
	}
	p.held++
	p.by[user]++
	return true
}

// release undoes acquire.
func (p *maxInFlight) release(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held--
	if p.by[user]--; p.by[user] == 0 {
		delete(p.by, user)
	}
}
