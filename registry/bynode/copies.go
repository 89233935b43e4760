package bynode

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// settleTime is how old a mismatch must be to be acted on: pods and copies come by two watches, one of which may be behind.
const settleTime = time.Second

// Copies are the copies of pods by node as a watch shows them, and the pods whose copies are not what they should be. Both watches write it, and
// do not wait for a repair.
type Copies struct {
	mu     sync.Mutex                  // guards all below
	pods   map[string]wanted           // by "<ns>/<name>"
	copies map[string]map[string]int64 // by "<ns>/<name>": the revisions of its copies by key
	since  map[string]time.Time        // by "<ns>/<name>": since when a pod and its copies do not match
	listed bool                        // copies is complete
	seen   int64                       // the revision up to which copies is complete
	behind bool                        // Has was asked about a later one
	// lost is what is known of pods that are gone while their copies are there, by "<ns>/<name>".
	lost map[string]lostPod
}

// wanted is the copy that a pod should have.
type wanted struct {
	key   string // "": none
	rev   int64
	owner string // the uid of the pod's controller; "": none
	// deleting tells that the pod is being deleted.
	deleting bool
}

// lostPod is a pod whose key is gone and whose copy is there.
type lostPod struct {
	owner string // the uid of its controller; "": none
	// read tells that its last state is known; deleting, that it was being deleted in that.
	read, deleting bool
	// ordinary tells that it did not vanish: its key is there, with a value that cannot be read.
	ordinary bool
}

// NewCopies returns copies for one Repairer.
func NewCopies() *Copies {
	return &Copies{pods: map[string]wanted{}, copies: map[string]map[string]int64{}, since: map[string]time.Time{}, lost: map[string]lostPod{}}
}

// Has returns whether a pod, which is gone, may have a copy and so have vanished: deleted past the API, which deletes copies in the pods' own
// transactions. revision is that of the pod's last write, and so of its copy's. It returns true for a while after a deletion through the
// API, when the watch of copies is behind.
func (m *Copies) Has(namespace, name string, revision int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	pod := namespace + "/" + name
	if m.listed && revision > m.seen {
		m.behind = true
		return true
	}
	return !m.listed || len(m.copies[pod]) > 0 && !m.lost[pod].ordinary
}

// hasPod returns whether a pod is there.
func (m *Copies) hasPod(pod string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, is := m.pods[pod]
	return is
}

// setPod stores the copy that a pod should have; nil: the pod is deleted.
func (m *Copies) setPod(pod string, want *wanted, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if want == nil {
		if was, is := m.pods[pod]; is {
			delete(m.since, pod) // another mismatch than before
			m.lost[pod] = lostPod{owner: was.owner, read: true, deleting: was.deleting}
		}
		delete(m.pods, pod)
	} else {
		m.pods[pod] = *want
		delete(m.lost, pod)
	}
	m.compare(pod, now)
}

// setCopy stores the revision of a copy.
func (m *Copies) setCopy(pod, key string, rev int64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.copies[pod] == nil {
		m.copies[pod] = map[string]int64{}
	}
	m.copies[pod][key] = rev
	m.compare(pod, now)
}

// deleteCopy removes a copy; last tells that it was the pod's last one.
func (m *Copies) deleteCopy(pod, key string, now time.Time) (last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.copies[pod], key); len(m.copies[pod]) == 0 {
		delete(m.copies, pod)
		last = true
	}
	m.compare(pod, now)
	return last
}

// startList removes all copies, before they are listed.
func (m *Copies) startList() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copies, m.listed = map[string]map[string]int64{}, false
}

// endList is called when all copies are listed.
func (m *Copies) endList(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listed = true
	for pod := range m.pods {
		m.compare(pod, now)
	}
	for pod := range m.lost {
		m.compare(pod, now)
	}
	for pod := range m.since {
		m.compare(pod, now)
	}
}

// setSeen stores up to which revision copies is complete. caughtUp tells that Has may be false now where it was not.
func (m *Copies) setSeen(revision int64) (caughtUp bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = max(m.seen, revision)
	caughtUp, m.behind = m.behind, false
	return caughtUp
}

// isBehind returns whether Has was asked about a revision that is not seen yet.
func (m *Copies) isBehind() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.behind
}

// isListed returns whether the copies are complete.
func (m *Copies) isListed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.listed
}

// compare stores since when a pod does not match its copies; m.mu is held.
func (m *Copies) compare(pod string, now time.Time) {
	if m.match(pod) {
		delete(m.since, pod)
		delete(m.lost, pod)
	} else if _, is := m.since[pod]; !is {
		m.since[pod] = now
	}
}

func (m *Copies) match(pod string) bool {
	want, copies := m.pods[pod], m.copies[pod]
	if want.key == "" {
		return len(copies) == 0
	}
	return len(copies) == 1 && copies[want.key] == want.rev
}

// due are the pods to repair now, but those that are held.
func (m *Copies) due(now time.Time, held map[string]bool) (pods []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.listed {
		return nil
	}
	for pod, since := range m.since {
		if now.Sub(since) >= settleTime && !held[pod] {
			pods = append(pods, pod)
		}
	}
	return pods
}

// postpone delays the next check of a pod, until the watches have seen what repair wrote.
func (m *Copies) postpone(pod string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, is := m.since[pod]; is {
		m.since[pod] = now
	}
}

// copiesOf are the keys of a pod's copies.
func (m *Copies) copiesOf(pod string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.copies[pod]))
}

// unread are pods without a key whose last state is not known.
func (m *Copies) unread() (pods []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for pod := range m.since {
		if _, is := m.pods[pod]; !is && m.listed && !m.lost[pod].read {
			pods = append(pods, pod)
		}
	}
	return pods
}

// setLost stores what is known of a pod that is gone while its copies are there.
func (m *Copies) setLost(pod string, lost lostPod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, is := m.pods[pod]; !is && len(m.copies[pod]) > 0 {
		lost.ordinary = m.lost[pod].ordinary
		m.lost[pod] = lost
	}
}

// setOrdinary notes that a pod did not vanish; Has is false for it then.
func (m *Copies) setOrdinary(pod string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, is := m.pods[pod]; !is && len(m.copies[pod]) > 0 {
		lost := m.lost[pod]
		lost.ordinary = true
		m.lost[pod] = lost
	}
}

// vanished is which pods have vanished and what they are compared with. settled tells that one of them has been away for long enough.
func (m *Copies) vanished(now time.Time) (state vanishedState, settled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state = vanishedState{owners: map[string]string{}, bound: map[string]int{}, total: len(m.copies)}
	if !m.listed {
		return state, false
	}
	for pod, since := range m.since {
		lost := m.lost[pod]
		if _, is := m.pods[pod]; is || lost.deleting || lost.ordinary {
			continue
		}
		state.owners[pod] = lost.owner
		settled = settled || now.Sub(since) >= settleTime
	}
	if !settled {
		return state, false
	}
	for _, want := range m.pods {
		if want.key != "" && want.owner != "" {
			state.bound[want.owner]++
		}
	}
	return state, true
}
