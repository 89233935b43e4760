package job

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/batch"
	"gantry/schema/core"
)

// jobs has keys of two forms: "namespace/name" of a job, and "namespace/pod/name" of a pod whose finalizer may have to go because no
// job counts it.
type jobs struct {
	*controller.Env
	index   *controller.SelectorIndex
	deleted deletedPods

	mu      sync.Mutex         // guards the others
	known   map[types.UID]bool // the jobs there are
	current bool               // the caches show all that was written before this term of leadership
}

// NewJob makes the pods of jobs, counts how they end, and ends the jobs.
func NewJob(e *controller.Env) controller.Reconciler {
	c := &jobs{Env: e, index: controller.NewSelectorIndex(), known: map[types.UID]bool{}, deleted: deletedPods{byJob: map[string]map[types.UID]time.Time{}}}
	return controller.Reconciler{
		Reconcile: c.reconcile,
		Watches: []controller.Watch{
			{Kind: batch.Job, Keys: c.onJob},
			{Kind: core.Pod, Keys: c.onPod()},
		},
	}
}

func (c *jobs) onJob(old, current schema.Object) {
	c.setKnown(old, current)
	if current == nil {
		c.index.Set(old, nil)
		c.Enqueue(controller.KeyOf(old), 0)
		return
	}
	j := current.(*batchv1.Job)
	c.index.Set(current, controller.SelectorOf(j.Spec.Selector))
	delay := time.Duration(0)
	if old != nil && old.GetGeneration() == current.GetGeneration() {
		delay = c.index.Delay(controller.KeyOf(current)) // a status: more of its pods may change
	}
	c.Enqueue(controller.KeyOf(current), delay)
}

func (c *jobs) setKnown(old, current schema.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil {
		delete(c.known, old.GetUID())
	}
	if current != nil {
		c.known[current.GetUID()] = true
	}
}

// onPod enqueues the owner of a pod, and a pod that has a job's finalizer and no job.
func (c *jobs) onPod() func(old, current schema.Object) {
	enqueueOwner := c.EnqueuePodOwner("Job", c.index, func(a, b *corev1.Pod) bool { return isTracked(a) == isTracked(b) && restarts(a) == restarts(b) })
	return func(old, current schema.Object) {
		enqueueOwner(old, current)
		if p, ok := current.(*corev1.Pod); ok && isTracked(p) && !c.isKnown(metav1.GetControllerOfNoCopy(p)) {
			c.Enqueue(p.Namespace+"/pod/"+p.Name, controller.CoalesceDelay)
		}
	}
}

// isKnown returns whether an owner is a job that there is, or nothing that concerns jobs.
func (c *jobs) isKnown(ref *metav1.OwnerReference) bool {
	switch {
	case ref == nil:
		return false
	case ref.Kind != batch.Job.Kind || ref.APIVersion != batch.Job.APIVersion():
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[ref.UID]
}

func (c *jobs) reconcile(ctx context.Context, key string) (time.Duration, error) {
	if err := c.catchUp(ctx); err != nil {
		return 0, err
	}
	ns, name, _ := strings.Cut(key, "/")
	if pod, ok := strings.CutPrefix(name, "pod/"); ok {
		return 0, c.untrackPod(ctx, ns, pod)
	}
	return c.reconcileJob(ctx, key, ns, name)
}

// catchUp waits, once in a term, until the caches show what the former leader wrote. A job's status that counts a pod and a pod that still
// has its finalizer must not be seen together: the pod would be counted again.
func (c *jobs) catchUp(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current {
		return nil
	}
	for _, k := range []*schema.Kind{core.Pod, batch.Job} {
		if _, err := c.Registry.List(ctx, k, "", registry.ListOptions{Limit: 1}); err != nil {
			return err
		}
	}
	c.current = true
	return nil
}

// reconcileJob brings the pods of one job to what is wanted, and counts those that ended.
func (c *jobs) reconcileJob(ctx context.Context, key, ns, name string) (time.Duration, error) {
	job, err := registry.For[*batchv1.Job](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		c.deleted.forget(key)
		return 0, c.untrackOf(ctx, ns, name)
	}
	if err != nil || isManagedElsewhere(job) || controller.SelectorOf(job.Spec.Selector) == nil {
		return 0, err
	}
	podList, plan, err := c.observe(ctx, job)
	if err != nil {
		return 0, err
	}
	c.index.SetSize(key, len(podList))
	if isFinished(job) {
		c.deleted.forget(key)
		return 0, c.Execute(ctx, untrack(podList, "the job has finished"))
	}
	if len(plan) > 0 {
		return controller.RequeueNow, c.AdoptAndRelease(ctx, batch.Job, job, withTracking(job, plan))
	}
	return c.manage(ctx, key, job, podList)
}

// manage executes the plans for a job that has not finished.
func (c *jobs) manage(ctx context.Context, key string, job *batchv1.Job, podList []*corev1.Pod) (time.Duration, error) {
	c.deleted.remember(key, job, podList)
	now := time.Now()
	e := evaluate(job, podList, c.deleted.of(key), now)
	plan, after := e.planPods()
	failed := c.Execute(ctx, plan)
	err := c.Execute(ctx, e.planStatus(failed != nil))
	e.observeSync(plan, failed != nil || err != nil)
	if err == nil {
		e.observeStatus()
	}
	if err == nil && e.tooMany {
		c.Record(&controller.Event{Kind: batch.Job, About: job, Warning: true, Reason: "TooManySucceededPods", Message: "Too many succeeded pods running after completion count reached"})
	}
	if !e.deadline.IsZero() && e.finish == nil && (after == 0 || e.deadline.Sub(now) < after) {
		after = e.deadline.Sub(now)
	}
	return after, errors.Join(failed, err)
}

// observe returns the pods of a job, and the plan of adoptions and releases.
func (c *jobs) observe(ctx context.Context, job *batchv1.Job) (children []*corev1.Pod, plan []controller.Action, err error) {
	selector := controller.SelectorOf(job.Spec.Selector)
	candidates, err := controller.OwnedOrSelected[*corev1.Pod](ctx, c.Registry, job, selector)
	if err != nil {
		return nil, nil, err
	}
	children, plan = controller.ClaimChildren(batch.Job, job, core.Pod, selector, candidates)
	return children, plan, nil
}

// isManagedElsewhere returns whether another controller than this one reconciles a job.
func isManagedElsewhere(job *batchv1.Job) bool {
	return job.Spec.ManagedBy != nil && *job.Spec.ManagedBy != batchv1.JobControllerName
}

// untrackOf takes the finalizer from the pods of a job that is gone.
func (c *jobs) untrackOf(ctx context.Context, ns, job string) error {
	all, err := registry.For[*corev1.Pod](c.Registry).CachedList(ctx, ns, "")
	if err != nil {
		return err
	}
	for _, p := range all {
		if ref := metav1.GetControllerOfNoCopy(p); isTracked(p) && ref != nil && ref.Kind == batch.Job.Kind && ref.Name == job {
			c.Enqueue(ns+"/pod/"+p.Name, 0)
		}
	}
	return nil
}

// untrackPod takes the finalizer from a pod that no job counts: its job is gone, or nothing owns it and no job's selector matches.
func (c *jobs) untrackPod(ctx context.Context, ns, name string) error {
	p, err := registry.For[*corev1.Pod](c.Registry).Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) || err == nil && !isTracked(p) {
		return nil
	}
	if err != nil {
		return err
	}
	ref := metav1.GetControllerOfNoCopy(p)
	switch {
	case ref == nil:
		adopted := false
		c.index.Each(ns, p.Labels, func(string) { adopted = true })
		if adopted && p.DeletionTimestamp == nil {
			return nil
		}
	case ref.Kind != batch.Job.Kind || ref.APIVersion != batch.Job.APIVersion():
		return nil
	default:
		job, err := registry.For[*batchv1.Job](c.Registry).Get(ctx, ns, ref.Name) // consistent
		if err == nil && job.UID == ref.UID && (isManagedElsewhere(job) || !isFinished(job)) || err != nil && !errors.Is(err, registry.NotFound) {
			return err
		}
	}
	return c.Execute(ctx, untrack([]*corev1.Pod{p}, "no job counts it"))
}
