package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/podstatus"
)

// pullErrorShown is how long a failed pull is shown as such before it is shown as waiting for the next.
const pullErrorShown = time.Second

// recordBackOffs records events of containers that begin to wait: for their next start, or for the next pull of their image. It
// returns after how long the next failed pull is to be shown as a back-off, 0: none.
func (w *worker) recordBackOffs(v podstate.View) (after time.Duration) {
	for _, m := range podstate.Members(v.Pod) {
		if cs := v.Latest(m.Name); cs != nil && cs.State == engine.StateExited && !w.backOffRecorded[cs.ID] && podstate.RestartAt(cs).After(v.Now) &&
			podstate.Restarts(v.Pod.Spec.RestartPolicy, m.Role, cs.Exit.Code) && !v.Ending() {
			w.backOffRecorded[cs.ID] = true
			w.k.containerEvent(v.Pod, m, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s", m.Name, podstate.LongName(v.Pod))
		}
		p := w.problems[m.Name]
		if p.Reason != podstatus.WaitImagePull {
			continue
		}
		if left := pullErrorShown - v.Now.Sub(p.Since); left > 0 {
			after = left
			continue
		}
		w.k.containerEvent(v.Pod, m, corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", p.Image)
		w.k.containerEvent(v.Pod, m, corev1.EventTypeWarning, "Failed", "Error: %s", podstatus.WaitImageBackOff)
		w.problems[m.Name] = podstatus.Problem{Reason: podstatus.WaitImageBackOff, Message: fmt.Sprintf(backOffMessage, p.Image, p.Reason, p.Message), Since: v.Now, Image: p.Image}
	}
	return after
}
