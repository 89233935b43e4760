package kubelet

import (
	"context"
	"errors"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

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
			c.Status = mergeStatus(pod.Status, c.Status)
		}
		return c, nil
	}, registry.WriteOptions{Subresource: "status"})
}

// ownConditions are those that the kubelet writes.
var ownConditions = []corev1.PodConditionType{
	corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
}

// mergeStatus is the kubelet's status with what others have written meanwhile.
func mergeStatus(ours, theirs corev1.PodStatus) corev1.PodStatus {
	s := *ours.DeepCopy()
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c corev1.PodCondition) bool { return !slices.Contains(ownConditions, c.Type) })
	for _, c := range theirs.Conditions {
		if !slices.Contains(ownConditions, c.Type) {
			s.Conditions = append(s.Conditions, c)
		}
	}
	s.NominatedNodeName, s.Resize, s.ResourceClaimStatuses = theirs.NominatedNodeName, theirs.Resize, theirs.ResourceClaimStatuses
	return s
}
