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
	return &room{promises: map[string]*promise{}, waiting: map[string]func(){}}
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
	return nil, false
}

// hold keeps the resources of a pod that is ending and has containers yet.
func (r *room) hold(pod *corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, string(pod.UID))
	r.promises[string(pod.UID)] = &promise{pod: pod, ending: true}
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
