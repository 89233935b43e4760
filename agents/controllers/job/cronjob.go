package job

import (
	"context"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/batch"
)

// cronJobs has the keys of cron jobs.
type cronJobs struct{ *controller.Env }

// NewCronJob makes jobs at the times of their cron jobs, and deletes old ones.
func NewCronJob(e *controller.Env) controller.Reconciler {
	c := cronJobs{e}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: batch.CronJob, Keys: c.onCronJob},
			{Kind: batch.Job, Keys: c.onJob},
		},
	}
}

// onCronJob lets a new schedule begin with its next time, not with one that it had before it was written.
func (c cronJobs) onCronJob(old, current schema.Object) {
	if current == nil {
		return
	}
	cj, after := current.(*batchv1.CronJob), time.Duration(0)
	if was, ok := old.(*batchv1.CronJob); ok && (was.Spec.Schedule != cj.Spec.Schedule || !ptr.Equal(was.Spec.TimeZone, cj.Spec.TimeZone)) {
		if s, err := parseSchedule(cj); err == nil {
			after = untilNext(cj, s, time.Now())
		}
	}
	c.Enqueue(controller.KeyOf(cj), after)
}

func (c cronJobs) onJob(old, current schema.Object) {
	for _, obj := range []schema.Object{old, current} {
		if obj == nil {
			continue
		}
		if ref := metav1.GetControllerOfNoCopy(obj); ref != nil && ref.Kind == batch.CronJob.Kind {
			c.Enqueue(obj.GetNamespace()+"/"+ref.Name, 0)
		}
	}
}

func (c cronJobs) reconcile(ctx context.Context, key string) (time.Duration, error) {
	cj, err := controller.Cached[*batchv1.CronJob](ctx, c.Registry, key)
	if err != nil || cj == nil {
		return 0, err
	}
	owned, err := registry.For[*batchv1.Job](c.Registry).CachedOwned(ctx, string(cj.UID))
	if err != nil {
		return 0, err
	}
	var jobs []*batchv1.Job
	for _, j := range owned {
		if metav1.IsControlledBy(j, cj) {
			jobs = append(jobs, j)
		}
	}
	gone, err := c.gone(ctx, cj, jobs)
	if err != nil {
		return 0, err
	}
	p := planCronJob(cj, jobs, gone, time.Now())
	for _, e := range p.events {
		c.Record(&e)
	}
	failed := c.Execute(ctx, append(p.deletions, p.creation...))
	if failed == nil && len(p.creation) > 0 {
		jobCreationSkew.Observe(time.Since(p.due).Seconds())
	}
	if errors.Is(failed, registry.Exists) {
		failed = nil // the name is another's: this time has no job
	}
	return p.after, errors.Join(failed, c.Execute(ctx, p.status))
}

// gone are the active jobs that do not exist, by a consistent read.
func (c cronJobs) gone(ctx context.Context, cj *batchv1.CronJob, jobs []*batchv1.Job) (map[types.UID]bool, error) {
	gone, known := map[types.UID]bool{}, map[types.UID]bool{}
	for _, j := range jobs {
		known[j.UID] = true
	}
	for _, ref := range cj.Status.Active {
		if known[ref.UID] {
			continue
		}
		_, err := registry.For[*batchv1.Job](c.Registry).Get(ctx, ref.Namespace, ref.Name)
		if err != nil && !errors.Is(err, registry.NotFound) {
			return nil, err
		}
		gone[ref.UID] = err != nil
	}
	return gone, nil
}
