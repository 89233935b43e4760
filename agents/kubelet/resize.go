package kubelet

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/kubelet/engine"
	"gantry/schema/pods"
)

// resizeKey is the key of the job that resizes a container; no container can have that name.
func resizeKey(name string) string { return name + "/resize" }

// resizing tells whether a running container is to have other resources than those it was last given. What was given is compared,
// not what the engine holds: a kubelet that computes shares in another way leaves old containers alone.
func (v view) resizing(cs *engine.ContainerStatus, m member) bool {
	given, known := v.actuated[cs.ID]
	return known && m.role != roleInit && cs.State == engine.StateRunning && !equality.Semantic.DeepEqual(cpuAndMemory(given), cpuAndMemory(m.Resources))
}

// cpuAndMemory are the resources that a resize can change.
func cpuAndMemory(r corev1.ResourceRequirements) [2]corev1.ResourceList {
	only := func(l corev1.ResourceList) corev1.ResourceList {
		out := corev1.ResourceList{}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q, ok := l[name]; ok {
				out[name] = q
			}
		}
		return out
	}
	return [2]corev1.ResourceList{only(r.Requests), only(r.Limits)}
}

// restartsToResize tells whether the container's resize policy asks for a restart to change what differs.
func restartsToResize(given corev1.ResourceRequirements, m member) bool {
	return slices.ContainsFunc(m.ResizePolicy, func(p corev1.ContainerResizePolicy) bool {
		requests, limits := m.Resources.Requests[p.ResourceName], m.Resources.Limits[p.ResourceName]
		return p.RestartPolicy == corev1.RestartContainer &&
			(requests.Cmp(given.Requests[p.ResourceName]) != 0 || limits.Cmp(given.Limits[p.ResourceName]) != 0)
	})
}

// resize asks for what brings a running container to the resources it was granted.
func (p *planner) resize(cs *engine.ContainerStatus, m member) {
	key := resizeKey(m.Name)
	switch {
	case restartsToResize(p.actuated[cs.ID], m):
		p.add(action{
			do: doStop, key: m.Name, container: m, id: cs.ID, again: true,
			reason: fmt.Sprintf("Container %s resize requires restart", m.Name),
		})
	case !p.wait(p.waits[key]):
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
	return k.engine.Resize(ctx, a.id, engineResources(c.Container))
}

// resizeConditions are the conditions of a resize: pending until it is granted, in progress until the containers have it.
func (b *statusBuilder) resizeConditions() []corev1.PodCondition {
	var out []corev1.PodCondition
	if b.pending.reason != "" {
		out = append(out, condition(corev1.PodResizePending, true, b.pending.reason, b.pending.message))
	}
	for _, m := range members(b.pod) {
		if cs := b.Latest(m.Name); cs != nil && (b.resizing(cs, m) || b.resizeRestarts[cs.ID]) {
			reason := ""
			if b.resizeFault != "" {
				reason = corev1.PodReasonError
			}
			return append(out, condition(corev1.PodResizeInProgress, true, reason, b.resizeFault))
		}
	}
	return out
}

// adoptResources notes what a container that this kubelet did not start was given last, as the API knows it.
func (w *worker) adoptResources(cs *engine.ContainerStatus) {
	if w.pod == nil {
		return // not known yet: grantedPod comes back to it
	}
	s := statusNamed(w.pod, cs.Container)
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
