package bynode

import (
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// settleTime is how old a mismatch must be to be acted on: pods and copies come by two watches, one of which may be behind.
	settleTime = time.Second
	// Where more copies than orphanCount and than orphanShare of all have lost their pods, they are kept, see Repair.
	orphanCount = 10
	orphanShare = 0.1
)

// mismatches are the pods whose copies are not what they should be. Both watches write it, and do not wait for a repair.
type mismatches struct {
	mu     sync.Mutex                  // guards all below
	pods   map[string]wanted           // by "<ns>/<name>"
	copies map[string]map[string]int64 // by "<ns>/<name>": the revisions of its copies by key
	since  map[string]time.Time        // by "<ns>/<name>": since when a pod and its copies do not match
	listed bool                        // copies is complete
}

// wanted is the copy that a pod should have.
type wanted struct {
	key string // "": none
	rev int64
}

func newMismatches() *mismatches {
	return &mismatches{pods: map[string]wanted{}, copies: map[string]map[string]int64{}, since: map[string]time.Time{}}
}

// setPod stores the copy that a pod should have; nil: the pod is deleted.
func (m *mismatches) setPod(pod string, want *wanted, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if want == nil {
		delete(m.pods, pod)
	} else {
		m.pods[pod] = *want
	}
	m.compare(pod, now)
}

// setCopy stores the revision of a copy.
func (m *mismatches) setCopy(pod, key string, rev int64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.copies[pod] == nil {
		m.copies[pod] = map[string]int64{}
	}
	m.copies[pod][key] = rev
	m.compare(pod, now)
}

// deleteCopy removes a copy.
func (m *mismatches) deleteCopy(pod, key string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.copies[pod], key); len(m.copies[pod]) == 0 {
		delete(m.copies, pod)
	}
	m.compare(pod, now)
}

// startList removes all copies, before they are listed.
func (m *mismatches) startList() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copies, m.listed = map[string]map[string]int64{}, false
}

// endList is called when all copies are listed.
func (m *mismatches) endList(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed = true
	for pod := range m.pods {
		m.compare(pod, now)
	}
}

// compare stores since when a pod does not match its copies; m.mu is held.
func (m *mismatches) compare(pod string, now time.Time) {
	if m.match(pod) {
		delete(m.since, pod)
	} else if _, is := m.since[pod]; !is {
		m.since[pod] = now
	}
}

func (m *mismatches) match(pod string) bool {
	want, copies := m.pods[pod], m.copies[pod]
	if want.key == "" {
		return len(copies) == 0
	}
	return len(copies) == 1 && copies[want.key] == want.rev
}

// due are the pods to repair now, and how many orphaned copies are kept because they are so many.
func (m *mismatches) due(now time.Time) (pods []string, kept int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.listed {
		return nil, 0
	}
	orphans := 0
	for pod := range m.since {
		if _, is := m.pods[pod]; !is {
			orphans++
		}
	}
	keep := orphans > orphanCount && float64(orphans) > orphanShare*float64(len(m.copies))
	for pod, since := range m.since {
		_, is := m.pods[pod]
		if now.Sub(since) >= settleTime && (is || !keep) {
			pods = append(pods, pod)
		}
	}
	if !keep {
		orphans = 0
	}
	return pods, orphans
}

// postpone delays the next check of a pod, until the watches have seen what repair wrote.
func (m *mismatches) postpone(pod string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, is := m.since[pod]; is {
		m.since[pod] = now
	}
}

// copiesOf are the keys of a pod's copies.
func (m *mismatches) copiesOf(pod string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.copies[pod]))
}
