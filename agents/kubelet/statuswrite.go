package kubelet

import (
	"context"
	"errors"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/kubelet/podstatus"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// writeStatus sends the pod's status when it differs from what the API has; true: it does not.
func (w *worker) writeStatus(ctx context.Context, wg *sync.WaitGroup, s corev1.PodStatus) (settled bool) {
	if equality.Semantic.DeepEqual(s, w.pod.Status) {
		return w.jobs[statusKey] == nil
	}
	pod := w.pod.DeepCopy()
	pod.Status = s
	w.spawn(ctx, wg, statusKey, &job{}, func(ctx context.Context) (func(), error) {
		it, err := w.k.putStatus(ctx, pod)
		switch {
		case errors.Is(err, registry.NotFound):
			return func() { w.confirm = true }, nil
		case err != nil:
			return nil, err
		}
		stored := it.Object().(*corev1.Pod)
		if string(stored.UID) != w.ref.UID {
			return func() { w.confirm = true }, nil
		}
		return func() { w.adopt(stored) }, nil
	})
	return false
}

// putStatus writes in one round trip when the pod is as it was last seen, else over its newest state.
func (k *kubelet) putStatus(ctx context.Context, pod *corev1.Pod) (*registry.Item, error) {
	o := registry.WriteOptions{Subresource: "status", UID: string(pod.UID)}
	it, err := k.cfg.Gateway.Update(ctx, core.Pod, pod, o)
	if !errors.Is(err, registry.Conflict) {
		return it, err
	}
	return k.cfg.Gateway.Modify(ctx, core.Pod, pod.Namespace, pod.Name, func(current schema.Object) (schema.Object, error) {
		c := current.(*corev1.Pod)
		if c.UID == pod.UID {
			c.Status = podstatus.Merge(pod.Status, c.Status)
		}
		return c, nil
	}, registry.WriteOptions{Subresource: "status"})
}
