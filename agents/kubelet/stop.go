package kubelet

import (
	"context"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
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
		err := k.runHook(hctx, h.PreStop, c.Container, id, in.podIP)
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
