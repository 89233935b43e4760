package job_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// story is a cluster whose pods end by themselves, in the time of a bubble.
type story struct {
	*controllertest.Cluster
	// ends returns how a pod ends, 5 s after it runs; "": it does not.
	ends func(p *corev1.Pod) corev1.PodPhase

	mu   sync.Mutex // guards the others
	seen map[string]bool
	// active are the pods that run, most the most that did at a time. created and ended are all that did, by name.
	active         map[string]bool
	most           int
	created, ended map[string]time.Time
}

func tell(t *testing.T, ends func(*corev1.Pod) corev1.PodPhase, f func(s *story)) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(controllertest.Start(t, nil), ends)
		done := make(chan struct{})
		go func() { defer close(done); s.kubelet(s.Context) }()
		t.Cleanup(func() { <-done })
		s.Ready()
		f(s)
	})
}

func newStory(c *controllertest.Cluster, ends func(*corev1.Pod) corev1.PodPhase) *story {
	return &story{Cluster: c, ends: ends, seen: map[string]bool{}, active: map[string]bool{}, created: map[string]time.Time{}, ended: map[string]time.Time{}}
}

func succeed(*corev1.Pod) corev1.PodPhase { return corev1.PodSucceeded }

// kubelet ends the pods that run.
func (s *story) kubelet(ctx context.Context) {
	podClient := registry.For[*corev1.Pod](s.Registry)
	var timers sync.WaitGroup
	defer timers.Wait()
	_ = podClient.Follow(ctx, func(_, p *corev1.Pod) {
		if p == nil {
			return
		}
		s.watch(p)
		phase := s.ends(p)
		if p.Status.Phase != corev1.PodRunning || phase == "" || p.DeletionTimestamp != nil || s.once("end "+p.Name) {
			return
		}
		timers.Add(1)
		time.AfterFunc(5*time.Second, func() {
			defer timers.Done()
			_, _ = podClient.ModifyStatus(ctx, p.Namespace, p.Name, func(m *corev1.Pod) error {
				code := int32(0)
				if m.Status.Phase = phase; phase == corev1.PodFailed {
					code = 1
				}
				now := metav1.Now()
				m.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", Image: "sum:1", State: corev1.ContainerState{
					Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: now}}}}
				for i := range m.Status.Conditions {
					m.Status.Conditions[i].Status = corev1.ConditionFalse
				}
				return nil
			})
		})
	})
}

func (s *story) once(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.seen[what]
	s.seen[what] = true
	return was
}

func (s *story) watch(p *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed || p.DeletionTimestamp != nil {
		delete(s.active, p.Name)
		if s.ended[p.Name].IsZero() {
			s.ended[p.Name] = time.Now()
		}
		return
	}
	if s.created[p.Name].IsZero() {
		s.created[p.Name] = time.Now()
	}
	s.active[p.Name] = true
	s.most = max(s.most, len(s.active))
}

func (s *story) job(name string) *batchv1.Job {
	j, _ := controllertest.Get[*batchv1.Job](s.Cluster, "default", name)
	if j == nil {
		s.T.Fatalf("no job %s", name)
	}
	return j
}

// status is the status of a job in a line.
func (s *story) status(name string) string {
	st := s.job(name).Status
	text := fmt.Sprintf("active %d, succeeded %d, failed %d", st.Active, st.Succeeded, st.Failed)
	if st.CompletedIndexes != "" {
		text += ", indexes " + st.CompletedIndexes
	}
	if st.FailedIndexes != nil {
		text += ", failed indexes " + *st.FailedIndexes
	}
	for _, c := range st.Conditions {
		text += fmt.Sprintf(", %s=%s %s", c.Type, c.Status, c.Reason)
	}
	return text
}

// want waits for some time of the bubble and compares a job's status.
func (s *story) want(after time.Duration, name, want string) {
	s.T.Helper()
	time.Sleep(after)
	synctest.Wait()
	if got := s.status(name); got != want {
		s.T.Errorf("after %s: %s, want %s\n%s", after, got, want, s.Dump())
	}
}

// wantUntracked checks that no pod waits to be counted.
func (s *story) wantUntracked(n int) {
	s.T.Helper()
	podList := controllertest.List[*corev1.Pod](s.Cluster, "default", "")
	if len(podList) != n {
		s.T.Errorf("%d pods, want %d", len(podList), n)
	}
	for _, p := range podList {
		if len(p.Finalizers) > 0 {
			s.T.Errorf("pod %s has finalizers %v", p.Name, p.Finalizers)
		}
	}
}

func (s *story) change(name string, f func(j *batchv1.Job)) {
	s.T.Helper()
	_, err := registry.For[*batchv1.Job](s.Registry).Modify(s.Context, "default", name, func(j *batchv1.Job) error { f(j); return nil })
	if err != nil {
		s.T.Fatal(err)
	}
}

func manifest(spec string) string {
	return `apiVersion: batch/v1
kind: Job
metadata: {namespace: default, name: sum}
spec:
` + spec + `  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: "sum:1"}]}
`
}

const complete = "SuccessCriteriaMet=True CompletionsReached, Complete=True CompletionsReached"

func TestJobCompletes(t *testing.T) {
	tell(t, succeed, func(s *story) {
		s.Apply(manifest("  completions: 5\n  parallelism: 2\n"))
		s.want(2*time.Second, "sum", "active 2, succeeded 0, failed 0")
		s.want(time.Minute, "sum", "active 0, succeeded 5, failed 0, "+complete)
		s.wantUntracked(5)
		if s.most != 2 {
			t.Errorf("%d pods were active at a time, want 2", s.most)
		}
		if said := s.Events("sum"); !slices.Equal(said, []string{"job-controller Completed", "job-controller SuccessfulCreate"}) {
			t.Errorf("events %v", said)
		}
		if st := s.job("sum").Status; st.CompletionTime == nil || st.StartTime == nil || *st.Ready != 0 || *st.Terminating != 0 {
			t.Errorf("status %+v", st)
		}
	})
}

// The pods that fail are replaced after 10 s, then after 20 s; the one after the last that may fail ends the job.
func TestJobFailsAtItsBackoffLimit(t *testing.T) {
	fail := func(*corev1.Pod) corev1.PodPhase { return corev1.PodFailed }
	tell(t, fail, func(s *story) {
		s.Apply(manifest("  backoffLimit: 2\n"))
		s.want(3*time.Minute, "sum", "active 0, succeeded 0, failed 3, FailureTarget=True BackoffLimitExceeded, Failed=True BackoffLimitExceeded")
		s.wantUntracked(3)
		created, ended := slices.SortedFunc(maps.Values(s.created), time.Time.Compare), slices.SortedFunc(maps.Values(s.ended), time.Time.Compare)
		for i, wait := range []time.Duration{10 * time.Second, 20 * time.Second} {
			// Times in a status are in whole seconds.
			if got := created[i+1].Sub(ended[i]); got < wait-time.Second || got > wait+time.Second {
				t.Errorf("pod %d was replaced after %s, want %s", i+1, got, wait)
			}
		}
		if said := s.Events("sum"); !slices.Contains(said, "job-controller BackoffLimitExceeded") {
			t.Errorf("events %v", said)
		}
	})
}

// Index 1 fails once, index 2 always: the others complete.
func TestIndexedJob(t *testing.T) {
	ends := func(p *corev1.Pod) corev1.PodPhase {
		index, failures := p.Labels[batchv1.JobCompletionIndexAnnotation], p.Annotations[batchv1.JobIndexFailureCountAnnotation]
		if index == "2" || index == "1" && failures == "0" {
			return corev1.PodFailed
		}
		return corev1.PodSucceeded
	}
	tell(t, ends, func(s *story) {
		s.Apply(manifest("  completions: 4\n  parallelism: 4\n  completionMode: Indexed\n  backoffLimitPerIndex: 1\n"))
		s.want(time.Minute, "sum", "active 0, succeeded 3, failed 3, indexes 0,1,3, failed indexes 2, FailureTarget=True FailedIndexes, Failed=True FailedIndexes")
		s.wantUntracked(6)
		for _, p := range controllertest.List[*corev1.Pod](s.Cluster, "default", batchv1.JobCompletionIndexAnnotation+"=3") {
			if p.Spec.Hostname != "sum-3" || !strings.HasPrefix(p.Name, "sum-3-") || p.Spec.Containers[0].Env[0].Name != "JOB_COMPLETION_INDEX" {
				t.Errorf("pod of index 3: %s, %+v", p.Name, p.Spec)
			}
		}
	})
}

func TestSuspendedJobIsResumed(t *testing.T) {
	tell(t, succeed, func(s *story) {
		s.Apply(manifest("  completions: 2\n  suspend: true\n"))
		s.want(time.Minute, "sum", "active 0, succeeded 0, failed 0, Suspended=True JobSuspended")
		s.change("sum", func(j *batchv1.Job) { j.Spec.Suspend = new(bool) })
		s.want(2*time.Second, "sum", "active 1, succeeded 0, failed 0, Suspended=False JobResumed")
		s.change("sum", func(j *batchv1.Job) { *j.Spec.Suspend = true })
		s.want(2*time.Second, "sum", "active 0, succeeded 0, failed 0, Suspended=True JobSuspended")
		if st := s.job("sum").Status; st.StartTime != nil {
			t.Errorf("a suspended job has startTime %s", st.StartTime)
		}
		s.wantUntracked(0)
		s.change("sum", func(j *batchv1.Job) { *j.Spec.Suspend = false })
		s.want(time.Minute, "sum", "active 0, succeeded 2, failed 0, Suspended=False JobResumed, "+complete)
	})
}

// Pods outlive a job that is deleted with policy Orphan, and lose the finalizer.
func TestPodsOfADeletedJobLoseTheFinalizer(t *testing.T) {
	tell(t, succeed, func(s *story) {
		s.Apply(manifest("  completions: 4\n  parallelism: 2\n"))
		s.want(time.Second, "sum", "active 2, succeeded 0, failed 0")
		if err := registry.For[*batchv1.Job](s.Registry).Delete(s.Context, "default", "sum", registry.DeleteOptions{Propagation: "Orphan"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.wantUntracked(2)
	})
}

func TestFinishedJobIsDeletedAfterItsTime(t *testing.T) {
	tell(t, succeed, func(s *story) {
		s.Apply(manifest("  ttlSecondsAfterFinished: 60\n"))
		s.want(30*time.Second, "sum", "active 0, succeeded 1, failed 0, "+complete)
		time.Sleep(time.Minute)
		if jobs := controllertest.List[*batchv1.Job](s.Cluster, "default", ""); len(jobs) > 0 {
			t.Errorf("the job is still there: %v", jobs)
		}
		s.wantUntracked(0)
	})
}

func TestJobOfAnotherControllerIsLeftAlone(t *testing.T) {
	tell(t, succeed, func(s *story) {
		s.Apply(manifest("  managedBy: example.com/other\n"))
		s.want(time.Minute, "sum", "active 0, succeeded 0, failed 0")
	})
}

// Every five seconds another process leads: each index is completed once all the same.
func TestJobCompletesOverFailOvers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registrytest.DetectMutations(t)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		etcd := store.NewFake()
		start := func(ctx context.Context) *registry.Registry {
			r := registry.New(registry.Config{Store: etcd, Kinds: kinds.New(), Log: slog.New(slog.DiscardHandler)})
			running.Go(func() { _ = r.Run(ctx) })
			return r
		}
		r := start(ctx)
		lead := func(name string) context.CancelFunc {
			ctx, cancel := context.WithCancel(ctx)
			cfg := controllertest.Config(t, start(ctx))
			cfg.Identity, cfg.Log = name, slog.New(slog.DiscardHandler)
			running.Go(func() { _ = controllers.Run(ctx, cfg) })
			return cancel
		}
		s := newStory(&controllertest.Cluster{T: t, Context: ctx, Registry: r}, succeed)
		running.Go(func() { s.kubelet(ctx) })
		running.Go(func() { s.scheduler(ctx) })
		stop := lead("0")
		s.Ready()
		s.Apply(manifest("  completions: 12\n  parallelism: 3\n  completionMode: Indexed\n"))
		for i := range 6 {
			time.Sleep(5 * time.Second)
			stop()
			stop = lead(fmt.Sprint(i + 1))
		}
		s.want(5*time.Minute, "sum", "active 0, succeeded 12, failed 0, indexes 0-11, "+complete)
		s.wantUntracked(12)
		if s.most > 3 {
			t.Errorf("%d pods were active at a time, want 3", s.most)
		}
		stop()
	})
}

// scheduler lets pods run.
func (s *story) scheduler(ctx context.Context) {
	podClient := registry.For[*corev1.Pod](s.Registry)
	_ = podClient.Follow(ctx, func(_, p *corev1.Pod) {
		if p == nil || p.Status.Phase != corev1.PodPending || s.once("run "+p.Name) {
			return
		}
		go func() {
			_, _ = podClient.ModifyStatus(ctx, p.Namespace, p.Name, func(m *corev1.Pod) error { m.Status.Phase = corev1.PodRunning; return nil })
		}()
	})
}

func TestCronJobMakesJobs(t *testing.T) {
	tell(t, succeed, func(s *story) {
		s.Apply(`apiVersion: batch/v1
kind: CronJob
metadata: {namespace: default, name: tick}
spec:
  schedule: "* * * * *"
  successfulJobsHistoryLimit: 2
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: c, image: "tick:1"}]}
`)
		time.Sleep(4*time.Minute + 30*time.Second)
		jobs := controllertest.List[*batchv1.Job](s.Cluster, "default", "")
		if len(jobs) != 2 || len(s.created) < 4 {
			t.Errorf("%d jobs are kept, want 2, of %d", len(jobs), len(s.created))
		}
		cj, _ := controllertest.Get[*batchv1.CronJob](s.Cluster, "default", "tick")
		if st := cj.Status; len(st.Active) != 0 || st.LastScheduleTime == nil || st.LastScheduleTime.Second() != 0 || st.LastSuccessfulTime.Before(st.LastScheduleTime) {
			t.Errorf("status %+v", st)
		}
		for _, want := range []string{"cronjob-controller SawCompletedJob", "cronjob-controller SuccessfulCreate"} {
			if said := s.Events("tick"); !slices.Contains(said, want) {
				t.Errorf("events %v, want %s", said, want)
			}
		}
	})
}

// A job adopts pods that it selects and nobody controls, and releases those that it no longer selects. An adopted pod is counted, a released
// one is not.
func TestJobAdoptsAndReleases(t *testing.T) {
	never := func(*corev1.Pod) corev1.PodPhase { return "" }
	tell(t, never, func(s *story) {
		s.Apply(manifest("  completions: 2\n  parallelism: 2\n"))
		s.want(2*time.Second, "sum", "active 2, succeeded 0, failed 0")
		podClient := registry.For[*corev1.Pod](s.Registry)
		first := controllertest.List[*corev1.Pod](s.Cluster, "default", "")
		change := func(p *corev1.Pod, f func(p *corev1.Pod)) *corev1.Pod {
			t.Helper()
			if _, err := podClient.Modify(s.Context, "default", p.Name, func(p *corev1.Pod) error { f(p); return nil }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			p, _ = controllertest.Get[*corev1.Pod](s.Cluster, "default", p.Name)
			return p
		}
		if p := change(first[0], func(p *corev1.Pod) { p.OwnerReferences, p.Finalizers = nil, nil }); !metav1.IsControlledBy(p, s.job("sum")) || len(p.Finalizers) != 1 {
			t.Errorf("the orphan has owners %v and finalizers %v", p.OwnerReferences, p.Finalizers)
		}
		if p := change(first[1], func(p *corev1.Pod) { p.Labels = nil }); len(p.OwnerReferences) > 0 || len(p.Finalizers) > 0 {
			t.Errorf("the released pod has owners %v and finalizers %v", p.OwnerReferences, p.Finalizers)
		}
		s.want(2*time.Second, "sum", "active 2, succeeded 0, failed 0")
		if n := len(controllertest.List[*corev1.Pod](s.Cluster, "default", "")); n != 3 {
			t.Errorf("%d pods, want the two of the job and the one released", n)
		}
	})
}

// Evicted pods are replaced and count as no failures, where podFailurePolicy ignores disruptions.
func TestEvictedPodsAreIgnored(t *testing.T) {
	ends := func(p *corev1.Pod) corev1.PodPhase { return "" }
	tell(t, ends, func(s *story) {
		s.Apply(manifest(`  backoffLimit: 0
  podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}
`))
		s.want(2*time.Second, "sum", "active 1, succeeded 0, failed 0")
		p := controllertest.List[*corev1.Pod](s.Cluster, "default", "")[0]
		if _, _, err := s.Registry.Delete(s.Context, core.Pod, "default", p.Name, registry.DeleteOptions{Subresource: "eviction"}); err != nil {
			t.Fatal(err)
		}
		// The kubelet says how it ended.
		_, err := registry.For[*corev1.Pod](s.Registry).ModifyStatus(s.Context, "default", p.Name, func(p *corev1.Pod) error { p.Status.Phase = corev1.PodFailed; return nil })
		if err != nil {
			t.Fatal(err)
		}
		s.want(30*time.Second, "sum", "active 1, succeeded 0, failed 0")
		if now := controllertest.List[*corev1.Pod](s.Cluster, "default", ""); len(now) != 1 || now[0].Name == p.Name {
			t.Errorf("pods %v, want another than %s", now, p.Name)
		}
	})
}

// While a job runs, the next one is not made, replaces it, or runs beside it.
func TestCronJobsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		policy batchv1.ConcurrencyPolicy
		active int
		event  string
	}{
		{batchv1.AllowConcurrent, 3, "SuccessfulCreate"},
		{batchv1.ForbidConcurrent, 1, "JobAlreadyActive"},
		{batchv1.ReplaceConcurrent, 1, "SuccessfulDelete"},
	} {
		t.Run(string(tt.policy), func(t *testing.T) {
			tell(t, func(*corev1.Pod) corev1.PodPhase { return "" }, func(s *story) {
				s.Apply(`apiVersion: batch/v1
kind: CronJob
metadata: {namespace: default, name: tick}
spec:
  schedule: "* * * * *"
  concurrencyPolicy: ` + string(tt.policy) + `
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: c, image: "tick:1"}]}
`)
				time.Sleep(3*time.Minute + 30*time.Second)
				cj, _ := controllertest.Get[*batchv1.CronJob](s.Cluster, "default", "tick")
				jobs := controllertest.List[*batchv1.Job](s.Cluster, "default", "")
				if len(cj.Status.Active) != tt.active || len(jobs) != tt.active {
					t.Errorf("%d jobs, %d active, want %d", len(jobs), len(cj.Status.Active), tt.active)
				}
				if said := s.Events("tick"); !slices.Contains(said, "cronjob-controller "+tt.event) {
					t.Errorf("events %v, want %s", said, tt.event)
				}
			})
		})
	}
}
