package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// pullErrorShown is how long a failed pull is shown as such before it is shown as waiting for the next.
const pullErrorShown = time.Second

// recordBackOffs records events of containers that begin to wait: for their next start, or for the next pull of their image. It
// returns after how long the next failed pull is to be shown as a back-off, 0: none.
func (w *worker) recordBackOffs(v view) (after time.Duration) {
	for _, m := range members(v.pod) {
		if cs := v.Latest(m.Name); cs != nil && cs.State == engine.StateExited && !w.backOffRecorded[cs.ID] && restartAt(cs).After(v.now) &&
			restarts(v.pod.Spec.RestartPolicy, m.role, cs.Exit.Code) && !v.ending() {
			w.backOffRecorded[cs.ID] = true
			w.k.containerEvent(v.pod, m, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s", m.Name, longName(v.pod))
		}
		p := w.problems[m.Name]
		if p.reason != waitImagePull {
			continue
		}
		if left := pullErrorShown - v.now.Sub(p.since); left > 0 {
			after = left
			continue
		}
		w.k.containerEvent(v.pod, m, corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", m.Image)
		w.k.containerEvent(v.pod, m, corev1.EventTypeWarning, "Failed", "Error: %s", waitImageBackOff)
		w.problems[m.Name] = problem{reason: waitImageBackOff, message: fmt.Sprintf(backOffMessage, m.Image, p.reason, p.message), since: v.now}
	}
	return after
}
