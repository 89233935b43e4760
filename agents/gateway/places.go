package gateway

import "sync"

// places bounds the requests that are served at once. A request takes one when nothing but work is left to do: its user is known
// and its body is here. The last quarter of the places is for users who hold less than a quarter, so that no user takes all.
type places struct {
	size int

	mu   sync.Mutex // guards what follows
	held int
	by   map[string]int // user
}

func newPlaces(size int) *places { return &places{size: size, by: map[string]int{}} }

// enter takes a place for a user; false: there is none.
func (p *places) enter(user string) bool {
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

// leave gives a place back.
func (p *places) leave(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held--
	if p.by[user]--; p.by[user] == 0 {
		delete(p.by, user)
	}
}
