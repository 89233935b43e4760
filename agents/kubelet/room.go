package kubelet

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// room is what the node's resources are promised to. A pod's promise ends when nothing of it runs any more, whatever became
// of its object meanwhile.
type room struct {
	mu       sync.Mutex // guards what follows
	promises map[string]*promise
	// expected holds the pods, by UID, that a starting kubelet found containers of and that have not entered yet.
	expected map[string]bool
	waiting  map[string]func() // by UID of pods that wait for others to leave: wakes their worker
}

// promise is the share of one pod.
type promise struct {
	pod *corev1.Pod
	// deleted: the API says that the pod is to end, or that it is gone.
	deleted bool
	// ending: its worker ends it.
	ending bool
}

func (p *promise) leaving() bool { return p.deleted || p.ending }

func newRoom() *room {
	return &room{promises: map[string]*promise{}, expected: map[string]bool{}, waiting: map[string]func(){}}
}

// enter promises the pod its resources, or tells why the node cannot. wait is true where only pods that are leaving are in the
// way: wake is called when one has left. A pod that runs already is never turned away.
func (r *room) enter(pod *corev1.Pod, runs bool, node *corev1.Node, wake func()) (fault *failure, wait bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := string(pod.UID)
	delete(r.waiting, uid)
	if !runs {
		var all, staying []*corev1.Pod
		for other, p := range r.promises {
			if other == uid {
				continue
			}
			all = append(all, p.pod)
			if !p.leaving() {
				staying = append(staying, p.pod)
			}
		}
		if f := refuse(pod, all, node); f != nil {
			if len(staying) == len(all) || refuse(pod, staying, node) != nil {
				return f, false
			}
			r.waiting[uid] = wake
			return nil, true
		}
	}
	r.promises[uid] = &promise{pod: pod}
	r.arrived(uid)
	return nil, false
}

// expect names a pod whose promise is older than the kubelet: until it has entered nobody is promised more than before.
func (r *room) expect(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected[uid] = true
}

// arrived takes a pod off the expected ones.
func (r *room) arrived(uid string) {
	if r.expected[uid] {
		delete(r.expected, uid)
		r.wake()
	}
}

// resize changes what a pod was promised to what its spec asks for, or tells why the node cannot. known is false while that is
// not known. wake is called when the answer may have changed.
func (r *room) resize(pod *corev1.Pod, node *corev1.Node, wake func()) (fault *failure, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	uid := string(pod.UID)
	delete(r.waiting, uid)
	if len(r.expected) > 0 {
		r.waiting[uid] = wake
		return nil, false
	}
	var others []*corev1.Pod
	for other, p := range r.promises {
		if other != uid {
			others = append(others, p.pod)
		}
	}
	if f := outOfResources(pod, others, node); f != nil {
		r.waiting[uid] = wake
		return f, true
	}
	if p := r.promises[uid]; p != nil {
		p.pod = pod
	}
	r.wake() // a smaller pod makes room
	return nil, true
}

// hold keeps the resources of a pod that is ending and has containers yet.
func (r *room) hold(pod *corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, string(pod.UID))
	r.promises[string(pod.UID)] = &promise{pod: pod, ending: true}
	r.arrived(string(pod.UID))
}

// setDeleted notes what the API says of a pod. It is called before anybody is told of later changes: a pod that was
// bound to the room of another finds that one leaving.
func (r *room) setDeleted(uid string, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.promises[uid]; p != nil && p.deleted != deleted {
		p.deleted = deleted
		r.wake()
	}
}

// setEnding notes that a pod's worker ends it.
func (r *room) setEnding(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.promises[uid]; p != nil {
		p.ending = true
	}
}

// leave gives a pod's resources back.
func (r *room) leave(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, uid)
	r.arrived(uid)
	if r.promises[uid] != nil {
		delete(r.promises, uid)
		r.wake()
	}
}

// wake lets every pod that waits ask again.
func (r *room) wake() {
	for _, wake := range r.waiting {
		wake()
	}
}
