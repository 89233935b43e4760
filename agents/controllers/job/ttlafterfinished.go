package job

import (
	"context"
	"errors"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/batch"
)

// ttlAfterFinished has the keys of jobs.
type ttlAfterFinished struct{ *controller.Env }

// NewTTLAfterFinished deletes jobs, with their pods, ttlSecondsAfterFinished after they finished.
func NewTTLAfterFinished(e *controller.Env) controller.Reconciler {
	c := ttlAfterFinished{e}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{{Kind: batch.Job, Keys: func(_, current schema.Object) {
			if j, ok := current.(*batchv1.Job); ok && j.Spec.TTLSecondsAfterFinished != nil && isFinished(j) {
				c.Enqueue(controller.KeyOf(j), 0)
			}
		}}},
	}
}

func (c ttlAfterFinished) reconcile(ctx context.Context, key string) (time.Duration, error) {
	ns, name, _ := strings.Cut(key, "/")
	jobs := registry.For[*batchv1.Job](c.Registry)
	job, err := jobs.Cached(ctx, ns, name)
	if err == nil {
		if plan, after := planTTL(job, time.Now()); len(plan) == 0 {
			return after, nil
		}
		job, err = jobs.Get(ctx, ns, name) // the time may just have been made longer
	}
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	plan, after := planTTL(job, time.Now())
	return after, c.Execute(ctx, plan)
}

// planTTL deletes a job whose time is over; after is when it will be.
func planTTL(job *batchv1.Job, now time.Time) (plan []controller.Action, after time.Duration) {
	finished, ttl := finishedCondition(job), job.Spec.TTLSecondsAfterFinished
	if finished == nil || ttl == nil || job.DeletionTimestamp != nil || finished.LastTransitionTime.IsZero() {
		return nil, 0
	}
	if left := finished.LastTransitionTime.Add(time.Duration(*ttl) * time.Second).Sub(now); left > 0 {
		return nil, left
	}
	return []controller.Action{{Do: controller.Delete, Kind: batch.Job, Object: job, Reason: "ttlSecondsAfterFinished are over",
		DeleteOptions: registry.DeleteOptions{Propagation: string(metav1.DeletePropagationForeground)}}}, 0
}
