package allocation

import (
	"sync"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate"
)

// Reservations are the shares of the node's resources that its pods hold. A pod's reservation ends when none of its containers runs any
// more, whatever became of its object meanwhile.
type Reservations struct {
	mu   sync.Mutex // guards what follows
	pods map[string]*reservation
	// expected holds the pods, by UID, that a starting kubelet found containers of and that have no reservation yet.
	expected map[string]bool
	waiting  map[string]func() // by UID of pods that wait for resources: wakes their worker
}

// reservation is the share of one pod.
type reservation struct {
	pod *corev1.Pod
	// deleted: the API says that the pod is to end, or that it is gone.
	deleted bool
	// ending: its worker ends it.
	ending bool
}

func (r *reservation) terminating() bool { return r.deleted || r.ending }

// NewReservations returns reservations of no pod.
func NewReservations() *Reservations {
	return &Reservations{pods: map[string]*reservation{}, expected: map[string]bool{}, waiting: map[string]func(){}}
}

// Admit reserves what the pod requests, or tells why the node cannot. wait is true where only pods that are terminating are in the
// way: wake is called when one has ended. A pod that runs already is never refused.
func (r *Reservations) Admit(pod *corev1.Pod, runs bool, node *corev1.Node, wake func()) (fault *podstate.Failure, wait bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := string(pod.UID)
	delete(r.waiting, uid)
	if !runs {
		var all, staying []*corev1.Pod
		for other, p := range r.pods {
			if other == uid {
				continue
			}
			all = append(all, p.pod)
			if !p.terminating() {
				staying = append(staying, p.pod)
			}
		}
		if f := admissionFailure(pod, all, node); f != nil {
			if len(staying) == len(all) || admissionFailure(pod, staying, node) != nil {
				return f, false
			}
			r.waiting[uid] = wake
			return nil, true
		}
	}
	r.pods[uid] = &reservation{pod: pod}
	r.removeExpected(uid)
	return nil, false
}

// Expect names a pod whose reservation is older than the kubelet: until it is made again no pod is resized.
func (r *Reservations) Expect(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected[uid] = true
}

func (r *Reservations) removeExpected(uid string) {
	if r.expected[uid] {
		delete(r.expected, uid)
		r.wakeWaiting()
	}
}

// Resize changes a pod's reservation to what its spec requests, or tells why the node cannot. known is false while that is
// not known. wake is called when the answer may have changed.
func (r *Reservations) Resize(pod *corev1.Pod, node *corev1.Node, wake func()) (fault *podstate.Failure, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := string(pod.UID)
	delete(r.waiting, uid)
	if len(r.expected) > 0 {
		r.waiting[uid] = wake
		return nil, false
	}
	var others []*corev1.Pod
	for other, p := range r.pods {
		if other != uid {
			others = append(others, p.pod)
		}
	}
	if f := insufficientResources(pod, others, node); f != nil {
		r.waiting[uid] = wake
		return f, true
	}
	if p := r.pods[uid]; p != nil {
		p.pod = pod
	}
	r.wakeWaiting() // the pod may have become smaller
	return nil, true
}

// Keep reserves what a pod requests that is ending and still has containers.
func (r *Reservations) Keep(pod *corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, string(pod.UID))
	r.pods[string(pod.UID)] = &reservation{pod: pod, ending: true}
	r.removeExpected(string(pod.UID))
}

// SetDeleted records what the API says of a pod. It is called before any worker is given later changes: a pod that was
// bound to the resources of another finds that one terminating.
func (r *Reservations) SetDeleted(uid string, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pods[uid]; p != nil && p.deleted != deleted {
		p.deleted = deleted
		r.wakeWaiting()
	}
}

// SetEnding records that a pod's worker ends it.
func (r *Reservations) SetEnding(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pods[uid]; p != nil {
		p.ending = true
	}
}

// Remove ends a pod's reservation.
func (r *Reservations) Remove(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, uid)
	r.removeExpected(uid)
	if r.pods[uid] != nil {
		delete(r.pods, uid)
		r.wakeWaiting()
	}
}

// wakeWaiting lets every pod that waits ask again.
func (r *Reservations) wakeWaiting() {
	for _, wake := range r.waiting {
		wake()
	}
}
