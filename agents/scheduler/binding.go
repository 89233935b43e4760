package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema/core"
)

// startBinding hands a decision to the goroutines that bind; ctx is that of the scheduling loop. A pod that needs pre-bind gets a goroutine of
// its own, because a pre-bind may block for long; while maxPreBinds run, further ones are retried after their back-off.
func (l *leader) startBinding(ctx context.Context, d decision, now time.Time) {
	if !d.plugins.NeedsPreBind(d.reserved) {
		if !l.bindQueue.offer(d) {
			l.state.bindFailed(d, now) // scheduleBatch stops before the queue is full
		}
		return
	}
	select {
	case l.preBindSlots <- struct{}{}:
	default:
		l.state.bindFailed(d, now)
		return
	}
	preBindCtx, cancel := context.WithCancel(ctx)
	d.pod.stopPreBind()
	d.pod.cancelPreBind = cancel
	l.preBinds.Go(func() {
		defer func() { <-l.preBindSlots }()
		defer cancel()
		safely.Do(l.log, "binding", func() { l.preBindAndBind(ctx, preBindCtx, d) })
	})
}

// preBindAndBind runs pre-bind until preBindCtx is done, then writes the binding.
func (l *leader) preBindAndBind(ctx, preBindCtx context.Context, d decision) {
	err := d.plugins.PreBind(preBindCtx, d.object, d.target, d.reserved)
	switch {
	case err == nil:
		l.bind(ctx, d)
	case preBindCtx.Err() != nil: // the pod is deleted: nothing to report
		l.changes.put(ctx, func(now time.Time) { l.state.bindFailed(d, now) })
	default:
		l.retryBinding(ctx, d, err)
	}
}

// bind writes the binding of a pod to its node.
func (l *leader) bind(ctx context.Context, d decision) {
	pod := d.object
	err := safely.Call(func() error {
		_, err := l.registry.Bind(ctx, pod.Namespace, pod.Name, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: d.name},
		}, registry.WriteOptions{})
		return err
	})
	if err == nil {
		l.log.Info("pod bound", "ns", pod.Namespace, "name", pod.Name, "uid", pod.UID, "node", d.name, "attempt", d.attempt)
		l.recorderOf(pod).Event(core.Pod, pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, d.name)
		observeBound(d, time.Now())
		return
	}
	l.bindingFailed(ctx, d, fmt.Errorf("binding pod %s to %s: %w", d.pod.Key, d.name, err))
}

// rereadInterval is how long bindingFailed waits after a read that failed.
const rereadInterval = time.Second

// bindingFailed reads a pod whose binding returned an error, because the write may have happened all the same. Until that is known the
// pod stays assumed.
func (l *leader) bindingFailed(ctx context.Context, d decision, cause error) {
	pod := d.object
	for ctx.Err() == nil {
		current, err := l.pods.Get(ctx, pod.Namespace, pod.Name)
		switch {
		case err == nil && current.UID == pod.UID && current.Spec.NodeName == d.name:
			return // the watch reports it
		case errors.Is(err, registry.NotFound), err == nil && (current.UID != pod.UID || current.Spec.NodeName != ""):
			l.changes.put(ctx, func(now time.Time) { l.state.unreserve(d, now) }) // the watch reports the rest
			return
		case err == nil:
			l.retryBinding(ctx, d, cause)
			return
		}
		select {
		case <-time.After(rereadInterval):
		case <-ctx.Done():
		}
	}
}

// retryBinding has a pod that was not bound retried and reports why.
func (l *leader) retryBinding(ctx context.Context, d decision, cause error) {
	pod := d.object
	l.changes.put(ctx, func(now time.Time) { l.state.bindFailed(d, now) })
	if errors.Is(cause, registry.Conflict) || ctx.Err() != nil {
		return
	}
	l.log.Warn("pod not bound", "ns", pod.Namespace, "name", pod.Name, "uid", pod.UID, "node", d.name, "attempt", d.attempt, "err", cause)
	l.reportQueue.put(ctx, report{pod: pod, by: d.pod, reason: corev1.PodReasonSchedulerError, text: cause.Error(), event: true})
}
