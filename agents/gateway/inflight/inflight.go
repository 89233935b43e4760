// Package inflight bounds the requests that are served at once.
package inflight

import "sync"

// Limit bounds the requests that are served at once, as --max-requests-inflight does. A request is counted from when its
// user is known and its body has been received. The last quarter is for users who hold less than a quarter, so that no user takes
// all.
type Limit struct {
	size int

	mu   sync.Mutex // guards what follows
	held int
	by   map[string]int // user
}

// New returns the limit of size requests.
func New(size int) *Limit { return &Limit{size: size, by: map[string]int{}} }

// Acquire counts a request of a user; false: there are too many.
func (l *Limit) Acquire(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	share := l.size / 4
	if l.held >= l.size || l.size-l.held <= share && l.by[user] >= share {
		return false
	}
	l.held++
	l.by[user]++
	return true
}

// Release undoes Acquire.
func (l *Limit) Release(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held--
	if l.by[user]--; l.by[user] == 0 {
		delete(l.by, user)
	}
}
