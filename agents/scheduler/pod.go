package scheduler

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is a pod that has not ended.
type pod struct {
	key       string // <namespace>/<name>
	uid       types.UID
	object    *corev1.Pod // nil once it is bound: its signature is enough then
	signature *podSignature
	node      *node // where it is accounted for; nil: none yet
	// assumed: it is accounted for on the chosen node, and the watch has not reported the binding yet.
	assumed     bool
	terminating bool // being deleted, or evicted
	// evicting: it is a victim of preemption, and the watch has not reported its deletion yet.
	evicting      bool
	cancelPreBind context.CancelFunc // nil: no pre-bind was started, or it was stopped

	arrival      int64     // of arrival
	queuedAt     time.Time // for the first time
	attemptedAt  time.Time // the last attempt
	attempts     int
	subqueue     subqueue // in the queue
	index        int      // in the place's heap
	backoffUntil time.Time
	nominated    *node     // where others were evicted for it
	reportedText string    // what its condition says by us: nothing is written twice
	reportedAt   time.Time // the last event
}

// ref returns a reference to a pod, also where its object was dropped.
func (p *pod) ref() corev1.ObjectReference {
	namespace, name, _ := strings.Cut(p.key, "/")
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name, UID: p.uid}
}

func keyOf(namespace, name string) string { return namespace + "/" + name }
