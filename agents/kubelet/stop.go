package kubelet

import (
	"context"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/podstate"
)

// minGrace is what a container gets between SIGTERM and SIGKILL at least: most end within it, and cleanly.
const minGrace = 2 * time.Second

// stopInput is what a stop needs of its pod.
type stopInput struct {
	pod    *corev1.Pod
	action action
	podIP  netip.Addr
	grace  time.Duration
}

// stopContainer ends a container: preStop, the stop signal, SIGKILL when grace is over. It returns once the container has ended.
func (k *kubelet) stopContainer(ctx context.Context, in stopInput) error {
	c, id := in.action.container, in.action.id
	deadline := time.Now().Add(in.grace)
	k.containerEvent(in.pod, c, corev1.EventTypeNormal, "Killing", "%s", in.action.reason)
	if h := c.Lifecycle; h != nil && h.PreStop != nil && in.grace > 0 {
		hctx, cancel := context.WithDeadline(ctx, deadline)
		err := k.runner.Handle(hctx, h.PreStop, c.Container, id, in.podIP)
		cancel()
		if err != nil && ctx.Err() == nil {
			k.containerEvent(in.pod, c, corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed: %v", err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return k.engine.Stop(ctx, id, max(time.Until(deadline), minGrace))
}

func (w *worker) stopJob(ctx context.Context, wg *sync.WaitGroup, v podstate.View, a action) {
	in := stopInput{pod: v.Pod, action: a, podIP: first(w.addresses), grace: w.grace(v, a)}
	j := &job{do: doStop, until: v.Now.Add(in.grace)}
	w.log.Info("container stopped", "container", a.key, "reason", a.reason, "grace", in.grace)
	w.spawn(ctx, wg, a.key, j, func(ctx context.Context) (func(), error) {
		err := w.k.stopContainer(ctx, in)
		return func() { w.dirty[a.id] = true }, err
	})
}

// grace is how long a container gets to end. A failed probe may name its own.
func (w *worker) grace(v podstate.View, a action) time.Duration {
	grace := podstate.StopDeadline(v.Pod, v.Now)
	if v.Pod.DeletionTimestamp != nil || v.Gone {
		return grace
	}
	var p *corev1.Probe
	switch v.Probes[a.id].Unhealthy {
	case "liveness":
		p = a.container.LivenessProbe
	case "startup":
		p = a.container.StartupProbe
	}
	if p != nil && p.TerminationGracePeriodSeconds != nil {
		return time.Duration(*p.TerminationGracePeriodSeconds) * time.Second
	}
	return grace
}

// shortenStops stops again what is being stopped with more grace than is left: the pod was deleted again with a shorter one.
func (w *worker) shortenStops(v podstate.View) {
	if v.Pod.DeletionTimestamp == nil {
		return
	}
	for key, j := range w.jobs {
		if j.do == doStop && j.until.After(v.Pod.DeletionTimestamp.Add(time.Second)) {
			j.cancel()
			delete(w.jobs, key)
			w.wakeUp()
		}
	}
}
