package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// pullErrorShown is how long a failed pull is shown as such before it is shown as waiting for the next.
const pullErrorShown = time.Second

// backOffs tells of containers that begin to wait: for their next start, or for the next pull of their image. It returns when to
// look again for the latter, 0: not.
func (w *worker) backOffs(v view) (after time.Duration) {
	for _, m := range members(v.pod) {
		if f := v.Latest(m.Name); f != nil && f.State == engine.StateExited && !w.told[f.ID] && restartAt(f).After(v.now) &&
			restarts(v.pod.Spec.RestartPolicy, m.role, f.Exit.Code) && !(&planner{view: v}).ending() {
			w.told[f.ID] = true
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
