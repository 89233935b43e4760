package scheduler

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/scheduler/framework"
)

// pod is a pod that has not ended.
type pod struct {
	framework.PodInfo
	UID    types.UID
	object *corev1.Pod // nil once it is bound: its signature is enough then
	// assumed: it is accounted for on the chosen node, and the watch has not reported the binding yet.
	assumed bool
	// evicting: it is a victim of preemption, and the watch has not reported its deletion yet.
	evicting      bool
	cancelPreBind context.CancelFunc // nil: no pre-bind was started, or it was stopped

	arrival      int64     // grows with each pod
	queuedAt     time.Time // when it was queued first
	attemptedAt  time.Time // when it was scheduled last
	attempts     int
	subqueue     subqueue
	index        int // in the subqueue's heap
	backoffUntil time.Time
	reportedText string    // the last message of its condition that was queued for writing
	reportedAt   time.Time // when the last event was recorded
}

// ref returns a reference to a pod, also where its object was dropped.
func (p *pod) ref() corev1.ObjectReference {
	namespace, name, _ := strings.Cut(p.Key, "/")
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name, UID: p.UID}
}

func keyOf(namespace, name string) string { return namespace + "/" + name }
