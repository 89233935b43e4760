package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/internal/events"
	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
	"gantry/agents/scheduler/profiles"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/policy"
)

// Run schedules pods while this process is the leader, until ctx is done.
func Run(ctx context.Context, cfg Config) error { return runWith(ctx, cfg, plugins.All) }

// runWith is Run with a table of plug-ins.
func runWith(ctx context.Context, cfg Config, rows []framework.Plugin) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	settings, err := profiles.ReadFile(cfg.File, rows)
	if err != nil {
		return err
	}
	cfg.Health.Ready("scheduler", cfg.Registry.Ready)
	ctx = registry.WithUser(ctx, &authenticationv1.UserInfo{Username: "system:kube-scheduler", Groups: []string{"system:authenticated"}})
	err = cfg.Registry.Lead(ctx, "scheduler", cfg.Identity, func(ctx context.Context, r *registry.Registry) error {
		return newLeader(cfg, r, settings).run(ctx)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// leader runs the scheduler while this process is the leader. Only the goroutine of scheduleLoop uses state; all others send it changes.
type leader struct {
	registry *registry.Registry // every write through it is fenced
	pods     registry.Typed[*corev1.Pod]
	recorder *events.Recorder
	log      *slog.Logger

	state         *schedulingState
	changes       *workQueue[func(now time.Time)]
	bindQueue     *workQueue[decision]
	reportQueue   *workQueue[report]
	evictionQueue *workQueue[eviction]
	missing       *missingPods

	preBindSlots chan struct{}  // has an element for each pre-bind that runs
	preBinds     sync.WaitGroup // of their goroutines
}

// The sizes of the queues between goroutines. None of them grows: a watch that waits for room is told the difference later, a report or
// eviction that finds none is made again after the pod's back-off, and no pod is scheduled while bindQueue is full.
const (
	maxChanges   = 1024
	maxBindings  = 256
	maxReports   = 1024
	maxEvictions = 64
	// maxPreBinds is how many pods may be in pre-bind at once.
	maxPreBinds = 1024
)

// How many writes are in flight at once.
const (
	bindWorkers     = 64
	reportWorkers   = 8
	evictionWorkers = 4
)

func newLeader(cfg Config, r *registry.Registry, settings profiles.Settings) *leader {
	state := newSchedulingState(framework.NewPluginSets(settings.Profiles, framework.Handle{Registry: r, Log: cfg.Log})...)
	state.queue.firstBackoff, state.queue.lastBackoff = settings.InitialBackoff, settings.MaxBackoff
	return &leader{
		registry: r, pods: registry.For[*corev1.Pod](r), log: cfg.Log, state: state,
		recorder: events.New(r, corev1.DefaultSchedulerName, "", cfg.Log),
		changes:  newWorkQueue[func(time.Time)](maxChanges), bindQueue: newWorkQueue[decision](maxBindings),
		reportQueue: newWorkQueue[report](maxReports), evictionQueue: newWorkQueue[eviction](maxEvictions),
		missing:      newMissingPods(),
		preBindSlots: make(chan struct{}, maxPreBinds),
	}
}

// run works until ctx is done and everything it started has ended.
func (l *leader) run(ctx context.Context) error {
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return l.follow(ctx, core.Node, l.nodeChanged) })
	g.Go(func() error { return l.follow(ctx, core.Namespace, l.namespaceChanged) })
	g.Go(func() error { return l.follow(ctx, core.Pod, l.podChanged) })
	g.Go(func() error {
		return l.follow(ctx, policy.PodDisruptionBudget, func(c registry.Change, _ time.Time) { l.budgetChanged(c) })
	})
	g.Go(func() error { return l.followOtherKinds(ctx) })
	g.Go(func() error { return safely.Keep(ctx, l.log, "writing events", l.recorder.Run) })
	g.Go(func() error { return safely.Keep(ctx, l.log, "checking missing pods", l.checkMissingPods) })
	g.Go(func() error { l.bindQueue.runWorkers(ctx, l.log, "binding", bindWorkers, l.bind); return nil })
	g.Go(func() error {
		l.reportQueue.runWorkers(ctx, l.log, "reporting", reportWorkers, l.writeReport)
		return nil
	})
	g.Go(func() error {
		l.evictionQueue.runWorkers(ctx, l.log, "evicting", evictionWorkers, l.runEviction)
		return nil
	})
	g.Go(func() error { return safely.Keep(ctx, l.log, "scheduling", l.scheduleLoop) })
	err := g.Wait()
	l.preBinds.Wait() // scheduleLoop, which starts them, has returned
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// follow queues the changes of a kind for apply until ctx is done. While the queue is full the registry merges further changes of an object
// into one.
func (l *leader) follow(ctx context.Context, k *schema.Kind, apply func(c registry.Change, now time.Time)) error {
	return l.registry.Follow(ctx, k, func(c registry.Change) {
		l.changes.put(ctx, func(now time.Time) { apply(c, now) })
	})
}

// followOtherKinds is follow for the kinds of the plug-ins' events beside those that the cluster state holds. One that is not served has no
// objects.
func (l *leader) followOtherKinds(ctx context.Context) error {
	follow := map[*schema.Kind]func(registry.Change){}
	for _, k := range l.state.cluster.OtherKinds() {
		follow[k] = func(c registry.Change) {
			l.changes.put(ctx, func(now time.Time) { l.state.objectChanged(k, framework.ActionOf(c.Old != nil, c.New != nil), now) })
		}
	}
	if len(follow) == 0 {
		return nil
	}
	return l.registry.FollowAll(ctx, follow, func() {})
}

func (l *leader) nodeChanged(c registry.Change, now time.Time) {
	if c.New == nil {
		l.state.setNode(c.Old.Name, nil, now)
		return
	}
	l.state.setNode(c.New.Name, c.New.Object().(*corev1.Node), now)
}

func (l *leader) namespaceChanged(c registry.Change, now time.Time) {
	if c.New == nil {
		l.state.setNamespace(c.Old.Name, nil, now)
		return
	}
	set := labels.Set(c.New.Object().GetLabels())
	if set == nil {
		set = labels.Set{}
	}
	l.state.setNamespace(c.New.Name, set, now)
}

func (l *leader) podChanged(c registry.Change, now time.Time) {
	switch {
	case c.New != nil:
		l.missing.remove(c.New)
		l.state.setPod(c.New.Object().(*corev1.Pod), now)
	case mayHaveVanished(c.Old):
		l.missing.add(c.Old)
	default:
		l.state.deletePod(c.Old.Namespace, c.Old.Name, now)
	}
}
