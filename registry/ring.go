package registry

import (
	"sort"
	"sync/atomic"
	"time"
)

// entry is one change in a kind's history. item is the state after it; where the object went (gone), it is the last
// state under the revision of the deletion. prev is the state before; nil: there was none.
type entry struct {
	rev       int64
	item      *Item
	prev      *Item
	gone      bool
	leftState *atomic.Pointer[Item] // prev under this revision, made for the first watcher whose selector matched prev only
}

// ring is the recent history of a kind, append-only: a watcher is a position in it. Its methods are called
// with the cache's lock held.
type ring struct {
	entries []entry
	times   []int64 // unix seconds, when each entry came
	base    int64   // position of entries[0]
	floor   int64   // every change after this revision is in entries
	gap     int64   // entries before this position are for Follow only: history is missing there
	bytes   int     // about what the entries keep alive
	cursors map[*cursor]struct{}
	limit   int // of entries
}

// The bounds of a ring: entries, bytes of superseded objects, age.
const (
	ringEntries = 32768
	ringBytes   = 32 << 20
	ringAge     = 5 * time.Minute
)

func (g *ring) end() int64 { return g.base + int64(len(g.entries)) }

func (g *ring) add(e entry, now time.Time) {
	g.entries = append(g.entries, e)
	g.times = append(g.times, now.Unix())
	g.bytes += e.size()
}

func newEntry(rev int64) entry { return entry{rev: rev, leftState: new(atomic.Pointer[Item])} }

func (e entry) size() int {
	n := 96
	if e.prev != nil {
		n += len(e.prev.JSON)
	}
	if e.gone {
		n += len(e.item.JSON)
	}
	return n
}

// trim drops what is beyond the bounds, but never a part of a revision. A follower that has not seen it keeps what it misses in its cursor.
func (g *ring) trim(now time.Time) {
	old := now.Add(-ringAge).Unix()
	n := 0
	for n < len(g.entries) {
		if len(g.entries)-n <= g.limit && g.bytes <= ringBytes && g.times[n] > old {
			break
		}
		rev := g.entries[n].rev
		for n < len(g.entries) && g.entries[n].rev == rev {
			g.bytes -= g.entries[n].size()
			n++
		}
		if g.base+int64(n) > g.gap {
			g.floor = max(g.floor, rev)
		}
	}
	if n == 0 {
		return
	}
	for c := range g.cursors {
		c.miss(g.entries[:n], g.base)
	}
	// Readers index under the lock, so what is dropped can be cleared for the collector at once.
	clear(g.entries[:n])
	g.entries, g.times, g.base = g.entries[n:], g.times[n:], g.base+int64(n)
	if cap(g.entries) > 2*len(g.entries)+1024 {
		g.entries = append(make([]entry, 0, len(g.entries)+256), g.entries...)
		g.times = append(make([]int64, 0, len(g.times)+256), g.times...)
	}
}

// after is the position of the first change after rev; ok is false where the ring does not go back so far.
func (g *ring) after(rev int64) (pos int64, ok bool) {
	if rev < g.floor {
		return 0, false
	}
	first := max(g.gap, g.base)
	known := g.from(first)
	return first + int64(sort.Search(len(known), func(i int) bool { return known[i].rev > rev })), true
}

// from is the entries from a position on.
func (g *ring) from(pos int64) []entry { return g.entries[pos-g.base:] }
