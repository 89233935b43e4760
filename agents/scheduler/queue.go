package scheduler

import (
	"container/heap"
	"time"
)

// place is where a pod waits.
type place int

// The places of a queue.
const (
	nowhere place = iota
	active        // to be placed as soon as possible
	backoff       // to become active at pod.ready
	parked        // fits nowhere, waits for a change
	gated         // has scheduling gates
)

var placeNames = map[place]string{active: "active", backoff: "backoff", parked: "unschedulable", gated: "gated"}

// queue holds the pods that wait for a node. Not safe for concurrent use.
type queue struct {
	active  podHeap
	backoff podHeap
	parked  map[*class]map[*pod]bool
	gated   int
	sweepAt time.Time // when the next parked pod is due; zero: none is parked
}

func newQueue() *queue {
	return &queue{active: podHeap{less: before}, backoff: podHeap{less: sooner}, parked: map[*class]map[*pod]bool{}}
}

// before orders by priority, then age, then arrival.
func before(a, b *pod) bool {
	if a.class.priority != b.class.priority {
		return a.class.priority > b.class.priority
	}
	if !a.object.CreationTimestamp.Equal(&b.object.CreationTimestamp) {
		return a.object.CreationTimestamp.Before(&b.object.CreationTimestamp)
	}
	return a.seq < b.seq
}

func sooner(a, b *pod) bool { return a.ready.Before(b.ready) }

// move takes p out of where it is and puts it to another place. A pod must be out of the queue while its class changes.
func (q *queue) move(p *pod, to place) {
	switch p.place {
	case active:
		heap.Remove(&q.active, p.index)
	case backoff:
		heap.Remove(&q.backoff, p.index)
	case parked:
		delete(q.parked[p.class], p)
		if len(q.parked[p.class]) == 0 {
			delete(q.parked, p.class)
		}
	case gated:
		q.gated--
	}
	p.place = to
	switch to {
	case active:
		heap.Push(&q.active, p)
	case backoff:
		heap.Push(&q.backoff, p)
	case parked:
		if q.parked[p.class] == nil {
			q.parked[p.class] = map[*pod]bool{}
		}
		q.parked[p.class][p] = true
		if due := p.tried.Add(parkedMax); q.sweepAt.IsZero() || due.Before(q.sweepAt) {
			q.sweepAt = due
		}
	case gated:
		q.gated++
	}
}

// The back-off after an attempt in vain: doubled with each up to the last.
const (
	firstBackoff = time.Second
	lastBackoff  = 10 * time.Second
)

// retry makes p active as soon as its back-off allows.
func (q *queue) retry(p *pod, now time.Time) {
	wait := firstBackoff
	for i := 1; i < p.attempts && wait < lastBackoff; i++ {
		wait *= 2
	}
	p.ready = p.tried.Add(min(wait, lastBackoff))
	if p.attempts == 0 || !p.ready.After(now) {
		q.move(p, active)
		return
	}
	q.move(p, backoff)
}

// wake retries every parked pod of a class.
func (q *queue) wake(c *class, now time.Time) {
	for p := range q.parked[c] {
		q.retry(p, now)
	}
}

// parkedMax is how long a pod is parked at most: a safeguard against a change that was not seen to matter.
const parkedMax = 5 * time.Minute

// promote makes those active whose time has come and returns when the next one's comes; zero: no pod waits for a time.
func (q *queue) promote(now time.Time) time.Time {
	for q.backoff.Len() > 0 && !q.backoff.pods[0].ready.After(now) {
		q.move(q.backoff.pods[0], active)
	}
	if !q.sweepAt.IsZero() && !q.sweepAt.After(now) {
		q.sweep(now)
	}
	next := q.sweepAt
	if q.backoff.Len() > 0 && (next.IsZero() || q.backoff.pods[0].ready.Before(next)) {
		next = q.backoff.pods[0].ready
	}
	return next
}

// sweep makes the pods active that have been parked too long.
func (q *queue) sweep(now time.Time) {
	q.sweepAt = time.Time{}
	for _, pods := range q.parked {
		for p := range pods {
			switch due := p.tried.Add(parkedMax); {
			case !due.After(now):
				q.move(p, active)
			case q.sweepAt.IsZero() || due.Before(q.sweepAt):
				q.sweepAt = due
			}
		}
	}
}

// pop takes the first active pod out; nil: there is none.
func (q *queue) pop() *pod {
	if q.active.Len() == 0 {
		return nil
	}
	p := q.active.pods[0]
	q.move(p, nowhere)
	return p
}

// sizes are the numbers of pods by place.
func (q *queue) sizes() map[place]int {
	n := 0
	for _, pods := range q.parked {
		n += len(pods)
	}
	return map[place]int{active: q.active.Len(), backoff: q.backoff.Len(), parked: n, gated: q.gated}
}

// podHeap is a heap of pods that know their index.
type podHeap struct {
	pods []*pod
	less func(a, b *pod) bool
}

func (h *podHeap) Len() int           { return len(h.pods) }
func (h *podHeap) Less(i, j int) bool { return h.less(h.pods[i], h.pods[j]) }
func (h *podHeap) Swap(i, j int) {
	h.pods[i], h.pods[j] = h.pods[j], h.pods[i]
	h.pods[i].index, h.pods[j].index = i, j
}
func (h *podHeap) Push(x any) {
	p := x.(*pod)
	p.index = len(h.pods)
	h.pods = append(h.pods, p)
}
func (h *podHeap) Pop() any {
	last := len(h.pods) - 1
	p := h.pods[last]
	h.pods[last] = nil
	h.pods = h.pods[:last]
	return p
}
