package scheduler

import (
	"container/heap"
	"time"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/profiles"
)

// subqueue is the part of the queue a pod is in.
type subqueue int

// The subqueues.
const (
	notQueued     subqueue = iota
	active                 // scheduled next
	backoff                // becomes active at pod.backoffUntil
	unschedulable          // fits no node, waits for a change that may help
	gated                  // has scheduling gates
)

var subqueueNames = map[subqueue]string{active: "active", backoff: "backoff", unschedulable: "unschedulable", gated: "gated"}

// queue holds the pods without a node. Not safe for concurrent use.
type queue struct {
	active           podHeap
	backoff          podHeap
	unschedulable    map[*framework.PodSignature]map[*pod]bool
	gated            int
	unschedulableDue time.Time // when the next unschedulable pod is flushed; zero: there is none

	// The back-off after a failed attempt: firstBackoff, doubled with each attempt, up to lastBackoff.
	firstBackoff, lastBackoff time.Duration
}

func newQueue() *queue {
	return &queue{active: podHeap{less: higherPriority}, backoff: podHeap{less: earlierBackoff}, unschedulable: map[*framework.PodSignature]map[*pod]bool{}, firstBackoff: profiles.DefaultInitialBackoff, lastBackoff: profiles.DefaultMaxBackoff}
}

// higherPriority returns whether a is scheduled before b: by priority, then age, then arrival.
func higherPriority(a, b *pod) bool {
	if a.Signature.Priority != b.Signature.Priority {
		return a.Signature.Priority > b.Signature.Priority
	}
	if !a.object.CreationTimestamp.Equal(&b.object.CreationTimestamp) {
		return a.object.CreationTimestamp.Before(&b.object.CreationTimestamp)
	}
	return a.arrival < b.arrival
}

func earlierBackoff(a, b *pod) bool { return a.backoffUntil.Before(b.backoffUntil) }

// move moves p from its subqueue to another. A pod must not be queued while its signature changes.
func (q *queue) move(p *pod, to subqueue) {
	switch p.subqueue {
	case active:
		heap.Remove(&q.active, p.index)
	case backoff:
		heap.Remove(&q.backoff, p.index)
	case unschedulable:
		delete(q.unschedulable[p.Signature], p)
		if len(q.unschedulable[p.Signature]) == 0 {
			delete(q.unschedulable, p.Signature)
		}
	case gated:
		q.gated--
	}
	p.subqueue = to
	switch to {
	case active:
		heap.Push(&q.active, p)
	case backoff:
		heap.Push(&q.backoff, p)
	case unschedulable:
		if q.unschedulable[p.Signature] == nil {
			q.unschedulable[p.Signature] = map[*pod]bool{}
		}
		q.unschedulable[p.Signature][p] = true
		if due := p.attemptedAt.Add(unschedulableTimeout); q.unschedulableDue.IsZero() || due.Before(q.unschedulableDue) {
			q.unschedulableDue = due
		}
	case gated:
		q.gated++
	}
}

// requeueAfterBackoff makes p active once its back-off is over.
func (q *queue) requeueAfterBackoff(p *pod, now time.Time) {
	wait := q.firstBackoff
	for i := 1; i < p.attempts && wait < q.lastBackoff; i++ {
		wait *= 2
	}
	p.backoffUntil = p.attemptedAt.Add(min(wait, q.lastBackoff))
	if p.attempts == 0 || !p.backoffUntil.After(now) {
		q.move(p, active)
		return
	}
	q.move(p, backoff)
}

// requeueSignature requeues every unschedulable pod of a signature.
func (q *queue) requeueSignature(sig *framework.PodSignature, now time.Time) {
	for p := range q.unschedulable[sig] {
		q.requeueAfterBackoff(p, now)
	}
}

// unschedulableTimeout is how long a pod stays unschedulable at most, whether or not a change that may help was seen.
const unschedulableTimeout = 5 * time.Minute

// flush makes the pods active that are due and returns when the next one is; zero: no pod waits for a time.
func (q *queue) flush(now time.Time) time.Time {
	for q.backoff.Len() > 0 && !q.backoff.pods[0].backoffUntil.After(now) {
		q.move(q.backoff.pods[0], active)
	}
	if !q.unschedulableDue.IsZero() && !q.unschedulableDue.After(now) {
		q.flushUnschedulable(now)
	}
	next := q.unschedulableDue
	if q.backoff.Len() > 0 && (next.IsZero() || q.backoff.pods[0].backoffUntil.Before(next)) {
		next = q.backoff.pods[0].backoffUntil
	}
	return next
}

// flushUnschedulable makes the pods active that have been unschedulable for unschedulableTimeout.
func (q *queue) flushUnschedulable(now time.Time) {
	q.unschedulableDue = time.Time{}
	for _, pods := range q.unschedulable {
		for p := range pods {
			switch due := p.attemptedAt.Add(unschedulableTimeout); {
			case !due.After(now):
				q.move(p, active)
			case q.unschedulableDue.IsZero() || due.Before(q.unschedulableDue):
				q.unschedulableDue = due
			}
		}
	}
}

// pop removes and returns the first active pod; nil: there is none.
func (q *queue) pop() *pod {
	if q.active.Len() == 0 {
		return nil
	}
	p := q.active.pods[0]
	q.move(p, notQueued)
	return p
}

// sizes returns the number of pods by subqueue.
func (q *queue) sizes() map[subqueue]int {
	n := 0
	for _, pods := range q.unschedulable {
		n += len(pods)
	}
	return map[subqueue]int{active: q.active.Len(), backoff: q.backoff.Len(), unschedulable: n, gated: q.gated}
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
