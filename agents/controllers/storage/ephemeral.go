package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// NewEphemeral creates the claims of pods' ephemeral volumes. The pod owns them, so they go with it. Its keys are those of pods.
func NewEphemeral(e *controller.Env) controller.Reconciler {
	return controller.Reconciler{
		Reconcile: func(ctx context.Context, key string) (time.Duration, error) {
			return 0, reconcileEphemeral(ctx, e, key)
		},
		Watches: []controller.Watch{
			{Kind: core.Pod, Keys: func(old, current schema.Object) {
				if pod, ok := current.(*corev1.Pod); ok && old == nil && hasEphemeral(pod) {
					e.Enqueue(controller.KeyOf(pod), 0)
				}
			}},
			{Kind: core.PersistentVolumeClaim, Keys: func(old, current schema.Object) {
				if current != nil {
					return
				}
				if owner := metav1.GetControllerOfNoCopy(old); owner != nil && owner.Kind == core.Pod.Kind {
					e.Enqueue(old.GetNamespace()+"/"+owner.Name, 0)
				}
			}},
		},
	}
}

func hasEphemeral(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Ephemeral != nil {
			return true
		}
	}
	return false
}

func reconcileEphemeral(ctx context.Context, e *controller.Env, key string) error {
	namespace, name, _ := strings.Cut(key, "/")
	pod, err := registry.For[*corev1.Pod](e.Registry).Cached(ctx, namespace, name)
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil || pod.DeletionTimestamp != nil {
		return err
	}
	claims := registry.For[*corev1.PersistentVolumeClaim](e.Registry)
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Ephemeral == nil || v.Ephemeral.VolumeClaimTemplate == nil {
			continue
		}
		claim, _ := volumes.ClaimName(pod, v)
		found, err := claims.Cached(ctx, namespace, claim)
		switch {
		case err == nil && metav1.IsControlledBy(found, pod):
		case err == nil:
			err = volumes.NotForPod(pod, found)
			e.Events.Event(core.Pod, pod, corev1.EventTypeWarning, "FailedBinding", "ephemeral volume %s: %v", v.Name, err)
			return fmt.Errorf("pod %s, ephemeral volume %s: %w", key, v.Name, err)
		case !errors.Is(err, registry.NotFound):
			return err
		default:
			err := e.Execute(ctx, []controller.Action{{Do: controller.Create, Kind: core.PersistentVolumeClaim, Object: ephemeralClaim(pod, v, claim), Reason: "the pod has an ephemeral volume",
				Failed: &controller.Event{Kind: core.Pod, About: pod, Warning: true, Reason: "FailedBinding", Message: fmt.Sprintf("ephemeral volume %s: create PVC %s: ", v.Name, claim)}}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// ephemeralClaim is the claim of a pod's ephemeral volume.
func ephemeralClaim(pod *corev1.Pod, v *corev1.Volume, name string) *corev1.PersistentVolumeClaim {
	t := v.Ephemeral.VolumeClaimTemplate.DeepCopy()
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, Name: name, Labels: t.Labels, Annotations: t.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(pod, corev1.SchemeGroupVersion.WithKind("Pod"))},
		},
		Spec: t.Spec,
	}
}
