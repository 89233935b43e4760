package forward

import (
	"sync"
	"time"

	"gantry/agents/dns/wire"
)

const (
	// maxTTL bounds how long an answer is kept: as long as upstream's default configuration of CoreDNS has it, also negative ones.
	maxTTL = 30 * time.Second
	// maxEntries bounds the number of answers.
	maxEntries = 10000
	// maxEvicted is how many entries a put looks at to find one to delete.
	maxEvicted = 16
)

// cache keeps answers by wire.Query.Key. Safe for concurrent use.
type cache struct {
	mu      sync.RWMutex // guards entries
	entries map[string]entry
}

type entry struct {
	msg           *wire.Message
	read, expires time.Time
}

// get returns an answer and its age.
func (c *cache) get(key []byte, now time.Time) (*wire.Message, time.Duration) {
	c.mu.RLock()
	e, ok := c.entries[string(key)]
	c.mu.RUnlock()
	if !ok || !now.Before(e.expires) {
		return nil, 0
	}
	return e.msg, now.Sub(e.read)
}

func (c *cache) put(key string, m *wire.Message, now time.Time) {
	ttl := min(time.Duration(m.TTL)*time.Second, maxTTL)
	if ttl == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.entries[key]; !there && len(c.entries) >= maxEntries {
		c.evict(now)
	}
	c.entries[key] = entry{m, now, now.Add(ttl)}
}

// evict deletes expired entries of the few that it looks at, or else that which expires first.
func (c *cache) evict(now time.Time) {
	looked, first, expired := 0, "", false
	for key, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, key)
			expired = true
		} else if first == "" || e.expires.Before(c.entries[first].expires) {
			first = key
		}
		if looked++; looked >= maxEvicted {
			break
		}
	}
	if !expired {
		delete(c.entries, first)
	}
}

// counts returns how many positive and negative answers are kept.
func (c *cache) counts() (success, denial int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, e := range c.entries {
		if e.msg.Positive() {
			success++
		} else {
			denial++
		}
	}
	return success, denial
}

// clear deletes everything: the servers have changed.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}
