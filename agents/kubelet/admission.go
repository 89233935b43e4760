package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/admission"
	"gantry/agents/kubelet/podstate"
	"gantry/schema/pods"
)

// admit decides once whether the node runs the pod. A pod with containers was admitted before; one that is deleted or has ended
// already gets no reservation. A rejected pod ends as Failed; one that has to wait for resources is admitted later.
func (w *worker) admit() {
	if w.admitted || w.failure != nil {
		return
	}
	runs := len(w.statuses) > 0
	if podstate.Leaves(w.pod) {
		w.admitted = true
		if runs {
			w.k.reservations.Keep(w.grantedPod())
		}
		return
	}
	fault, wait := admission.InvalidPod(w.pod), false
	if fault == nil && !runs {
		fault = w.k.sysctls.AdmissionFailure(w.pod)
	}
	if fault == nil {
		fault, wait = w.k.reservations.Admit(w.grantedPod(), runs, w.k.node.Current(), w.wakeUp)
	}
	if fault == nil {
		w.admitted = !wait
		return
	}
	w.failure = fault
	w.log.Warn("pod rejected", "reason", fault.Reason, "err", fault.Message)
	w.k.podEvent(w.pod, corev1.EventTypeWarning, fault.Reason, "%s", fault.Message)
}

// deadline ends a pod past its activeDeadlineSeconds; it returns how long that is away, 0 where there is none.
func (w *worker) deadline(now time.Time) time.Duration {
	limit := w.pod.Spec.ActiveDeadlineSeconds
	if limit == nil || w.gone || w.failure != nil || pods.IsTerminal(w.pod) || w.firstSeen.IsZero() {
		return 0
	}
	left := w.firstSeen.Add(time.Duration(*limit) * time.Second).Sub(now)
	if left > 0 {
		return left
	}
	w.failure = &podstate.Failure{Reason: "DeadlineExceeded", Message: "Pod was active on the node longer than the specified deadline"}
	w.k.podEvent(w.pod, corev1.EventTypeNormal, "DeadlineExceeded", "%s", w.failure.Message)
	w.wakeUp()
	return 0
}
