package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// watcherGroup is many watch streams. Most read as fast as they can; of every hundred five are slow and two never read.
type watcherGroup struct {
	conns   []*h2
	fast    []*counter
	streams []*exchange // of fast
	mu      sync.Mutex
	delays  []time.Duration // of events to the first watcher, from the time in them
}

// counter counts the events of one stream; the connection's reader alone adds.
type counter struct{ events atomic.Int64 }

const (
	perConn    = 125 // streams
	leastConns = 8
	writers    = 16
	maxLag     = 256 // events that writers may be ahead of the slowest of the fast watchers
	eventSize  = 1024
)

// openWatches opens n watches of a path.
func (b *bench) openWatches(addr, path string, n int) (*watcherGroup, error) {
	a := &watcherGroup{}
	slow, stalled := n/20, n/50
	open := func(conns, n int, window uint32, delay time.Duration, each func(i int) func([]byte)) (streams []*exchange, err error) {
		first := len(a.conns)
		for range conns {
			c, err := dialSlow(addr, b.tls, window, delay)
			if err != nil {
				return nil, err
			}
			a.conns = append(a.conns, c)
		}
		for i := range n {
			x, err := a.conns[first+i%conns].start(&request{method: "GET", path: path, each: each(i)})
			if err != nil {
				return nil, err
			}
			streams = append(streams, x)
		}
		return streams, nil
	}
	fast := n - slow - stalled
	for range fast {
		a.fast = append(a.fast, &counter{})
	}
	var err error
	a.streams, err = open(max(leastConns, fast/perConn+1), fast, streamWindow, 0, func(i int) func([]byte) {
		return func(piece []byte) {
			a.fast[i].events.Add(int64(bytes.Count(piece, []byte("\n"))))
			if i == 0 {
				a.noteDelay(piece)
			}
		}
	})
	nothing := func(int) func([]byte) { return func([]byte) {} }
	if err == nil {
		_, err = open(1, slow, 64<<10, 20*time.Millisecond, nothing)
	}
	if err == nil {
		_, err = open(1, stalled, 64<<10, time.Hour, nothing)
	}
	return a, err
}

// noteDelay notes the age of the event in a piece.
func (a *watcherGroup) noteDelay(piece []byte) {
	_, rest, ok := bytes.Cut(piece, []byte(`"turn":"`))
	text, _, closed := bytes.Cut(rest, []byte(`"`))
	if sent, err := strconv.ParseInt(string(text), 10, 64); ok && closed && err == nil && sent > 0 {
		a.mu.Lock()
		a.delays = append(a.delays, time.Duration(time.Now().UnixNano()-sent))
		a.mu.Unlock()
	}
}

// least is the smallest number of events that a fast watcher has, sum that of all fast watchers together.
func (a *watcherGroup) least() int64 {
	least := a.fast[0].events.Load()
	for _, c := range a.fast {
		least = min(least, c.events.Load())
	}
	return least
}

func (a *watcherGroup) sum() (n int64) {
	for _, c := range a.fast {
		n += c.events.Load()
	}
	return n
}

// cut is the number of fast watches that have ended.
func (a *watcherGroup) cut() (n int) {
	for _, x := range a.streams {
		select {
		case <-x.done:
			n++
		default:
		}
	}
	return n
}

func (a *watcherGroup) close() {
	for _, c := range a.conns {
		c.close()
	}
}

func watchers(n int) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		alone, err := b.writeEvents(nil, b.length/2)
		if err != nil {
			return measurement{}, err
		}
		path := "/api/v1/namespaces/bench-watch/configmaps"
		res, err := b.pool[0].want(200, &request{method: "GET", path: path + "?limit=1", keep: true})
		if err != nil {
			return measurement{}, err
		}
		_, rest, _ := bytes.Cut(res.body, []byte(`"resourceVersion":"`))
		revision, _, _ := bytes.Cut(rest, []byte(`"`))
		a, err := b.openWatches(b.api, path+"?watch=1&resourceVersion="+string(revision), n)
		if err != nil {
			return measurement{}, err
		}
		defer a.close()
		time.Sleep(settle) // every stream is open
		m, err := b.writeEvents(a, b.length)
		if err != nil {
			return m, err
		}
		m.cpu -= time.Duration(m.ops) * alone.perOp()
		m.note = fmt.Sprintf("%d writes (%v each, taken off), %d of %d cut", m.ops, short(alone.perOp()), a.cut(), len(a.fast))
		m.ops = int(a.sum())
		slices.Sort(a.delays)
		m.p50, m.p99 = percentiles(a.delays)
		return m, nil
	}
}

// writeEvents updates config maps for a while, never more than maxLag ahead of the fast watchers, and waits until all that
// was written has arrived. ops are the writes.
func (b *bench) writeEvents(a *watcherGroup, length time.Duration) (measurement, error) {
	c := b.pool[0]
	path := "/api/v1/namespaces/bench-watch/configmaps"
	if res, err := c.do(&request{method: "POST", path: "/api/v1/namespaces", contentType: "application/json",
		body: []byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"bench-watch"}}`)}); err != nil || res.status != 201 && res.status != 409 {
		return measurement{}, fmt.Errorf("creating a namespace: %d %v", res.status, err)
	}
	for i := range writers {
		if res, err := c.do(&request{method: "POST", path: path, contentType: "application/json", body: configMap("w"+strconv.Itoa(i), 0)}); err != nil || res.status != 201 && res.status != 409 {
			return measurement{}, fmt.Errorf("creating a config map: %d %v", res.status, err)
		}
	}
	var before int64
	if a != nil {
		before = a.least()
	}
	var written atomic.Int64
	began, cpu := time.Now(), b.plane.cpu()
	m, err := drive(b.plane, writers, length, func(i int) error {
		for a != nil && written.Load() > a.least()-before+maxLag && time.Since(began) < length {
			time.Sleep(time.Millisecond)
		}
		written.Add(1)
		name := "w" + strconv.Itoa(i)
		_, err := b.pool[i%len(b.pool)].want(200, &request{
			method: "PUT", path: path + "/" + name, contentType: "application/json", body: configMap(name, int(time.Now().UnixNano())),
		})
		return err
	})
	if err != nil || a == nil {
		return m, err
	}
	for end := time.Now().Add(20 * time.Second); a.least()-before < written.Load(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return m, fmt.Errorf("of %d events the slowest of the fast watchers has %d", written.Load(), a.least()-before)
		}
	}
	m.elapsed, m.cpu = time.Since(began), b.plane.cpu()-cpu
	return m, nil
}

// floorWatch writes events of 1 KB to n bare streams with a flush for each.
func floorWatch(n int) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		a := &watcherGroup{}
		defer a.close()
		for range max(leastConns, n/perConn) {
			c, err := dial(b.floorAddr, b.tls)
			if err != nil {
				return measurement{}, err
			}
			a.conns = append(a.conns, c)
		}
		for i := range n {
			k := &counter{}
			a.fast = append(a.fast, k)
			each := func(piece []byte) { k.events.Add(int64(bytes.Count(piece, []byte("\n")))) }
			if _, err := a.conns[i%len(a.conns)].start(&request{method: "GET", path: "/watch", each: each}); err != nil {
				return measurement{}, err
			}
		}
		time.Sleep(settle)
		began, cpu := time.Now(), b.floor.cpu()
		if _, err := b.floorPool[0].want(200, &request{method: "GET", path: fmt.Sprintf("/fire?n=%d&ms=%d", eventSize, b.length.Milliseconds())}); err != nil {
			return measurement{}, err
		}
		for last := int64(-1); last != a.sum(); time.Sleep(settle) {
			last = a.sum()
		}
		return measurement{ops: int(a.sum()), elapsed: time.Since(began), cpu: b.floor.cpu() - cpu}, nil
	}
}
