package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/allocation"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/podstate"
	"gantry/schema/pods"
)

// resizeKey is the key of the job that resizes a container; no container can have that name.
func resizeKey(name string) string { return name + "/resize" }

// restartsToResize tells whether the container's resize policy asks for a restart to change what differs.
func restartsToResize(given corev1.ResourceRequirements, m podstate.Member) bool {
	return slices.ContainsFunc(m.ResizePolicy, func(p corev1.ContainerResizePolicy) bool {
		requests, limits := m.Resources.Requests[p.ResourceName], m.Resources.Limits[p.ResourceName]
		return p.RestartPolicy == corev1.RestartContainer &&
			(requests.Cmp(given.Requests[p.ResourceName]) != 0 || limits.Cmp(given.Limits[p.ResourceName]) != 0)
	})
}

// resize asks for what brings a running container to the resources it was granted.
func (p *planner) resize(cs *engine.ContainerStatus, m podstate.Member) {
	key := resizeKey(m.Name)
	switch {
	case restartsToResize(p.Actuated[cs.ID], m):
		p.add(action{
			do: doStop, key: m.Name, container: m, id: cs.ID, again: true,
			reason: fmt.Sprintf("Container %s resize requires restart", m.Name),
		})
	case !p.wait(p.Waits[key]):
		p.add(action{do: doResize, key: key, container: m, id: cs.ID, reason: "the container was granted other resources"})
	}
}

// resizeRetry is how soon a resize that failed is tried again.
const resizeRetry = 10 * time.Second

func (w *worker) resizeJob(a action) func(context.Context) (func(), error) {
	given := w.actuated[a.id]
	return func(ctx context.Context) (func(), error) {
		err := w.k.resizeContainer(ctx, a, given)
		if isTransient(ctx, err) {
			return nil, err
		}
		return func() {
			if err == nil {
				w.actuated[a.id] = a.container.Resources
				delete(w.waits, a.key)
				return
			}
			if fault := err.Error(); fault != w.resizeFault {
				w.resizeFault = fault
				w.log.Warn("container not resized", "container", a.container.Name, "after", resizeRetry, "err", err)
				w.k.podEvent(w.pod, corev1.EventTypeWarning, "ResizeError", "Pod resize error: %s", resizeSummary(w.pod, fault))
			}
			w.waits[a.key] = time.Now().Add(resizeRetry)
		}, nil
	}
}

// resizeContainer gives a running container its resources.
func (k *kubelet) resizeContainer(ctx context.Context, a action, given corev1.ResourceRequirements) error {
	c := a.container
	limit, before := c.Resources.Limits.Memory().Value(), given.Limits.Memory().Value()
	if limit > 0 && (before == 0 || limit < before) {
		used, err := k.engine.MemoryUsage(ctx, a.id)
		if err != nil {
			return fmt.Errorf("missing container %q memory usage: %w", c.Name, err)
		}
		if used >= limit {
			return fmt.Errorf("cannot decrease memory limits: attempting to set container %q memory limit (%d) below current usage (%d)", c.Name, limit, used)
		}
	}
	return k.engine.Resize(ctx, a.id, allocation.EngineResources(c.Container))
}

// adoptResources notes what a container that this kubelet did not start was given last, as the API knows it.
func (w *worker) adoptResources(cs *engine.ContainerStatus) {
	if w.pod == nil {
		return // not known yet: grantedPod comes back to it
	}
	s := podstate.StatusNamed(w.pod, cs.Container)
	if _, known := w.actuated[cs.ID]; known || s == nil || s.Resources == nil || s.ContainerID != engine.URI(cs.ID) {
		return
	}
	w.actuated[cs.ID] = *s.Resources
}

// reportResize says that a resize is done.
func (w *worker) reportResize(s corev1.PodStatus) {
	resizing := slices.ContainsFunc(s.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodResizeInProgress })
	if w.resized && !resizing && !pods.IsTerminalPhase(s.Phase) {
		w.k.podEvent(w.pod, corev1.EventTypeNormal, "ResizeCompleted", "Pod resize completed: %s", resizeSummary(w.grantedPod(), ""))
	}
	w.resized = resizing
}

// grantedPod is the pod with what the kubelet granted it.
func (w *worker) grantedPod() *corev1.Pod {
	if w.granted == nil {
		w.granted, w.pending = allocation.Of(w.pod), allocation.PendingOf(w.pod)
		for _, cs := range w.statuses {
			w.adoptResources(cs)
		}
	}
	return w.granted.Apply(w.pod)
}

// allocate grants a resized pod what its spec asks for, where the node has it, and returns the pod as granted.
func (w *worker) allocate() *corev1.Pod {
	granted := w.grantedPod()
	if granted == w.pod || w.gone || pods.IsTerminal(w.pod) || w.pod.DeletionTimestamp != nil {
		w.pending = allocation.PendingResize{}
		return granted
	}
	pending, known := w.k.tryResize(w.pod, w.wakeUp)
	if !known {
		return granted
	}
	if pending.Reason != "" {
		if pending != w.pending {
			w.k.podEvent(w.pod, corev1.EventTypeWarning, "Resize"+pending.Reason, "Pod resize %s: %s", pending.Reason, resizeSummary(w.pod, pending.Message))
		}
		w.pending = pending
		return granted
	}
	w.pending, w.granted, w.resizeFault = allocation.PendingResize{}, allocation.OfSpec(w.pod), ""
	w.log.Info("pod resized", "generation", w.pod.Generation)
	w.k.podEvent(w.pod, corev1.EventTypeNormal, "ResizeStarted", "Pod resize started: %s", resizeSummary(w.pod, ""))
	return w.pod
}

// tryResize reserves what a pod's spec asks for, or tells why not; known is false while that is not known: wake is called then.
func (k *kubelet) tryResize(pod *corev1.Pod, wake func()) (pending allocation.PendingResize, known bool) {
	node := k.node.Current()
	if node == nil {
		return allocation.PendingResize{}, false // every worker is woken when it is known
	}
	if p := allocation.Infeasible(pod, node); p.Reason != "" {
		return p, true
	}
	fault, known := k.reservations.Resize(pod, node, wake)
	if fault != nil {
		pending = allocation.PendingResize{Reason: corev1.PodReasonDeferred, Message: fault.Message}
	}
	return pending, known
}

// resizeSummary is what events of a resize say, as kubelets write it:
// {"containers":[{"name":"c1","resources":{...}}],"generation":2}.
func resizeSummary(pod *corev1.Pod, fault string) string {
	type container struct {
		Name      string                      `json:"name"`
		Resources corev1.ResourceRequirements `json:"resources"`
	}
	var s struct {
		InitContainers []container `json:"initContainers,omitempty"`
		Containers     []container `json:"containers,omitempty"`
		Generation     int64       `json:"generation"`
		Error          string      `json:"error,omitempty"`
	}
	s.Generation, s.Error = pod.Generation, fault
	for _, m := range podstate.Members(pod) {
		c := container{m.Name, m.Resources}
		if m.Role == podstate.RoleApp {
			s.Containers = append(s.Containers, c)
		} else {
			s.InitContainers = append(s.InitContainers, c)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fault
	}
	return string(text)
}
