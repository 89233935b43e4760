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
		l.recorder.Event(core.Pod, pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, d.name)
		observeBound(d, time.Now())
		return
	}
	l.bindingFailed(ctx, d, fmt.Errorf("binding pod %s to %s: %w", d.pod.key, d.name, err))
}

// bindingFailed reads a pod whose binding returned an error, because the write may have happened all the same. Until that is known the
// pod stays assumed.
func (l *leader) bindingFailed(ctx context.Context, d decision, cause error) {
	pod := d.object
	for ctx.Err() == nil {
		current, err := l.pods.Get(ctx, pod.Namespace, pod.Name)
		switch {
		case errors.Is(err, registry.NotFound):
			return // the watch reports its deletion
		case err == nil && (current.UID != pod.UID || current.Spec.NodeName != ""):
			return // the watch reports it
		case err == nil:
			l.changes.put(func(now time.Time) { l.state.bindFailed(d.pod, now) })
			if !errors.Is(cause, registry.Conflict) {
				l.log.Warn("pod not bound", "ns", pod.Namespace, "name", pod.Name, "uid", pod.UID, "node", d.name, "attempt", d.attempt, "err", cause)
				l.reportQueue.put(report{pod: pod, by: d.pod, reason: corev1.PodReasonSchedulerError, text: cause.Error(), event: true})
			}
			return
		}
		select {
		case <-time.After(firstBackoff):
		case <-ctx.Done():
		}
	}
}
