package scheduler

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is a pod that has not ended.
type pod struct {
	key    string // <namespace>/<name>
	uid    types.UID
	object *corev1.Pod // nil once it is on a node: then its class says all that counts
	class  *class
	node   *node // where it is accounted for; nil: it waits
	// assumed: the choice of node is ours and the watch has not confirmed it yet.
	assumed bool
	leaving bool // being deleted, or evicted
	// evicted: its deletion is ours and the watch has not confirmed it yet.
	evicted bool

	seq       int64     // of arrival
	queued    time.Time // for the first time
	tried     time.Time // the last attempt
	attempts  int
	place     place // in the queue
	index     int   // in the place's heap
	ready     time.Time
	nominated *node     // where others were evicted for it
	told      string    // what its condition says by us: nothing is written twice
	toldAt    time.Time // the last event
}

// ref names a pod whose object is not at hand.
func (p *pod) ref() corev1.ObjectReference {
	namespace, name, _ := strings.Cut(p.key, "/")
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name, UID: p.uid}
}

func keyOf(namespace, name string) string { return namespace + "/" + name }

// ended tells whether a pod needs nothing of its node any more.
func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}
