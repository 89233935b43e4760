package job

import (
	"fmt"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
	"gantry/schema/batch"
)

// cluster is a job and its pods, with the rules of the API that matter to a job.
type cluster struct {
	t    *rapid.T
	job  *batchv1.Job
	pods []*corev1.Pod
	now  time.Time
	made int
	// succeeded and failed are the pods that ended, or were deleted by somebody else, before the job gave them up.
	succeeded, failed map[types.UID]bool
}

func newCluster(t *rapid.T) *cluster {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "sum", UID: "uid-sum", ResourceVersion: "1", Generation: 1}}
	j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"job": "sum"}}
	j.Spec.Template.Labels = j.Spec.Selector.MatchLabels
	j.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "sum:1"}}}
	j.Spec.Parallelism = ptr.To(rapid.Int32Range(1, 4).Draw(t, "parallelism"))
	j.Spec.Completions = ptr.To(rapid.Int32Range(0, 6).Draw(t, "completions"))
	if rapid.Bool().Draw(t, "indexed") {
		j.Spec.CompletionMode = ptr.To(batchv1.IndexedCompletion)
		if rapid.Bool().Draw(t, "per index") {
			j.Spec.BackoffLimitPerIndex = ptr.To(rapid.Int32Range(0, 2).Draw(t, "backoffLimitPerIndex"))
		}
	}
	if j.Spec.BackoffLimitPerIndex == nil {
		j.Spec.BackoffLimit = ptr.To(rapid.Int32Range(0, 6).Draw(t, "backoffLimit"))
	}
	if rapid.Bool().Draw(t, "replace failed only") {
		j.Spec.PodReplacementPolicy = ptr.To(batchv1.Failed)
	}
	batch.Job.Default(j)
	return &cluster{t: t, job: j, now: plantest.Now, succeeded: map[types.UID]bool{}, failed: map[types.UID]bool{}}
}

func (c *cluster) plans() []controller.Action {
	if isFinished(c.job) {
		return untrack(c.pods, "finished")
	}
	e := evaluate(c.job, c.pods, nil, c.now)
	plan, _ := e.planPods()
	return append(plan, e.planStatus(false)...)
}

// do executes one action as the API would.
func (c *cluster) do(a controller.Action) {
	switch a.Do {
	case controller.Create:
		c.create(a.Object.(*corev1.Pod))
	case controller.Delete:
		c.change(a.Object.GetUID(), func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: c.now} })
	case controller.RemoveFinalizer:
		c.change(a.Object.GetUID(), func(p *corev1.Pod) { p.Finalizers = nil })
	case controller.UpdateStatus:
		next := a.Object.(*batchv1.Job).DeepCopy()
		if errs := batch.Job.Subresource("status").Validate(next, c.job); len(errs) > 0 {
			c.t.Fatalf("the status is refused: %v", errs)
		}
		next.ResourceVersion += "1"
		c.job = next
	}
}

func (c *cluster) create(p *corev1.Pod) {
	p = p.DeepCopy()
	c.made++
	p.UID = types.UID(fmt.Sprint("uid-", c.made))
	p.CreationTimestamp = metav1.NewTime(c.now)
	p.Status.Phase = corev1.PodRunning
	if i := indexOf(p); isIndexed(c.job) {
		for _, o := range c.pods {
			if indexOf(o) == i && (o.Status.Phase == corev1.PodSucceeded && isTracked(o) || o.Status.Phase == corev1.PodRunning && o.DeletionTimestamp == nil) {
				c.t.Fatalf("a second pod of index %d, beside %s, which is %s", i, o.Name, o.Status.Phase)
			}
		}
		if i == unknownIndex || i >= int(*c.job.Spec.Completions) || parseIndexes(c.job.Status.CompletedIndexes, 10).has(i) {
			c.t.Fatalf("a pod of index %d, which is not wanted", i)
		}
	}
	if slices.ContainsFunc(c.pods, func(o *corev1.Pod) bool { return o.Name == p.Name }) {
		c.t.Fatalf("a second pod %s", p.Name)
	}
	c.pods = append(c.pods, p)
	running := 0
	for _, o := range c.pods {
		if o.Status.Phase == corev1.PodRunning && o.DeletionTimestamp == nil {
			running++
		}
	}
	if running > int(*c.job.Spec.Parallelism) {
		c.t.Fatalf("%d pods are active", running)
	}
}

// change changes a copy of a pod, and removes it where nothing holds it.
func (c *cluster) change(uid types.UID, f func(*corev1.Pod)) {
	i := slices.IndexFunc(c.pods, func(p *corev1.Pod) bool { return p.UID == uid })
	if i < 0 {
		return
	}
	p := c.pods[i].DeepCopy()
	f(p)
	c.pods = slices.Clone(c.pods)
	if c.pods[i] = p; p.DeletionTimestamp != nil && len(p.Finalizers) == 0 && p.Status.Phase != corev1.PodRunning {
		c.pods = slices.Delete(c.pods, i, i+1)
	}
}

// end ends a pod as a kubelet does.
func (c *cluster) end(p *corev1.Pod, phase corev1.PodPhase) {
	if isTracked(p) && !c.failed[p.UID] {
		ended := c.failed
		if phase == corev1.PodSucceeded {
			ended = c.succeeded
		}
		ended[p.UID] = true
	}
	c.change(p.UID, func(p *corev1.Pod) {
		p.Status.Phase = phase
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(c.now)}}}}
	})
}

// happen is one thing that a kubelet or a user does.
func (c *cluster) happen() {
	c.now = c.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(c.t, "seconds")) * time.Second)
	var running []*corev1.Pod
	for _, p := range c.pods {
		if p.Status.Phase == corev1.PodRunning {
			running = append(running, p)
		}
	}
	if len(running) == 0 {
		return
	}
	p := running[rapid.IntRange(0, len(running)-1).Draw(c.t, "pod")]
	switch rapid.IntRange(0, 5).Draw(c.t, "what happens") {
	case 0, 1, 2:
		c.end(p, corev1.PodSucceeded)
	case 3:
		c.end(p, corev1.PodFailed)
	case 4:
		c.change(p.UID, func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: c.now} })
	}
}

// A job's pods are counted once each, wherever the controller ends between two writes; each index is completed once; every status is valid;
// and what was done is not done again.
func TestJobsCountEachPodOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(t)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			plan := c.plans()
			upTo := rapid.IntRange(0, len(plan)).Draw(t, "actions before the crash")
			for _, a := range plan[:upTo] {
				c.do(a)
			}
			c.happen()
		}
		c.settle()
		if again := c.plans(); len(again) > 0 {
			t.Fatalf("again: %s", plantest.Lines(again))
		}
		c.check()
	})
}

// settle lets everything succeed and the controller work until it has no more to do.
func (c *cluster) settle() {
	for range 1000 {
		for _, a := range c.plans() {
			c.do(a)
		}
		c.now = c.now.Add(time.Hour)
		i := slices.IndexFunc(c.pods, func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
		if i >= 0 {
			c.end(c.pods[i], corev1.PodSucceeded)
		} else if len(c.plans()) == 0 {
			return
		}
	}
	c.t.Fatal("the job does not end")
}

func (c *cluster) check() {
	s := &c.job.Status
	if !isFinished(c.job) || s.Active != 0 || *s.Terminating != 0 || len(s.UncountedTerminatedPods.Succeeded)+len(s.UncountedTerminatedPods.Failed) > 0 {
		c.t.Fatalf("status at the end: %+v", s)
	}
	for _, p := range c.pods {
		if isTracked(p) {
			c.t.Fatalf("%s is still tracked", p.Name)
		}
	}
	if isIndexed(c.job) {
		if done := parseIndexes(s.CompletedIndexes, 10); int(s.Succeeded) != done.count() || done.String() != s.CompletedIndexes {
			c.t.Fatalf("%d succeeded, indexes %q", s.Succeeded, s.CompletedIndexes)
		}
	} else if int(s.Succeeded) > len(c.succeeded) {
		c.t.Fatalf("%d pods are counted as succeeded, %d did", s.Succeeded, len(c.succeeded))
	}
	if conditionTrue(s, batchv1.JobComplete) != nil && s.Succeeded < *c.job.Spec.Completions {
		c.t.Fatalf("complete with %d of %d", s.Succeeded, *c.job.Spec.Completions)
	}
	if int(s.Succeeded+s.Failed) > c.made {
		c.t.Fatalf("%d succeeded and %d failed of %d pods", s.Succeeded, s.Failed, c.made)
	}
}
