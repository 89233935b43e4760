package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/internal/events"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// Run schedules pods while this process is the leader, until ctx is done.
func Run(ctx context.Context, cfg Config) error { return runWith(ctx, cfg, plugins) }

// runWith is Run with a table of plug-ins.
func runWith(ctx context.Context, cfg Config, rows []plugin) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Health.Ready("scheduler", cfg.Registry.Ready)
	err := cfg.Registry.Lead(ctx, "scheduler", cfg.Identity, func(ctx context.Context, r *registry.Registry) error {
		return newLeader(cfg, r, rows).run(ctx)
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
	name     string // of the scheduler

	state         *schedulingState
	changes       *workQueue[func(now time.Time)]
	bindQueue     *workQueue[decision]
	reportQueue   *workQueue[report]
	evictionQueue *workQueue[eviction]

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

func newLeader(cfg Config, r *registry.Registry, rows []plugin) *leader {
	return &leader{
		registry: r, pods: registry.For[*corev1.Pod](r), log: cfg.Log, name: cfg.SchedulerName,
		recorder: events.New(r, cfg.SchedulerName, "", cfg.Log),
		state:    newSchedulingState(cfg.SchedulerName, newPluginSet(rows, handle{registry: r, log: cfg.Log})),
		changes:  newWorkQueue[func(time.Time)](maxChanges), bindQueue: newWorkQueue[decision](maxBindings),
		reportQueue: newWorkQueue[report](maxReports), evictionQueue: newWorkQueue[eviction](maxEvictions),
		preBindSlots: make(chan struct{}, maxPreBinds),
	}
}

// run works until ctx is done and everything it started has ended.
func (l *leader) run(ctx context.Context) error {
	g, ctx := safely.WithContext(ctx)
	g.Go(func() error { return l.follow(ctx, core.Node, l.nodeChanged) })
	g.Go(func() error { return l.follow(ctx, core.Namespace, l.namespaceChanged) })
	g.Go(func() error { return l.follow(ctx, core.Pod, l.podChanged) })
	g.Go(func() error { return safely.Keep(ctx, l.log, "writing events", l.recorder.Run) })
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
	if c.New == nil {
		l.state.deletePod(c.Old.Namespace, c.Old.Name, now)
		return
	}
	l.state.setPod(c.New.Object().(*corev1.Pod), now)
}

// batchSize is how many decisions are made before changes are applied again.
const batchSize = 64

// scheduleLoop applies changes and schedules pods until ctx is done.
func (l *leader) scheduleLoop(ctx context.Context) error {
	if err := l.applyInitialLists(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		l.applyChanges(now)
		due := l.state.queue.flush(now)
		more, blocked := l.scheduleBatch(ctx, now)
		if more {
			continue
		}
		var room <-chan struct{}
		if blocked {
			room = l.bindQueue.room
		}
		l.observeQueue()
		timer.Stop()
		if !due.IsZero() {
			timer.Reset(time.Until(due))
		}
		select {
		case change := <-l.changes.items:
			l.applyChange(change, time.Now())
		case <-room:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// applyChanges applies the changes that are queued.
func (l *leader) applyChanges(now time.Time) {
	for range len(l.changes.items) { // only this goroutine takes items
		l.applyChange(<-l.changes.items, now)
	}
}

func (l *leader) applyChange(change func(now time.Time), now time.Time) {
	safely.Do(l.log, "applying a change", func() { change(now) })
}

// scheduleBatch schedules up to batchSize pods. It returns whether more may be active, and whether it stopped because bindQueue is full.
func (l *leader) scheduleBatch(ctx context.Context, now time.Time) (more, blocked bool) {
	for range batchSize {
		if l.bindQueue.full() {
			return false, true
		}
		began := time.Now()
		found := true
		safely.Do(l.log, "scheduling a pod", func() {
			var d decision
			if d, found = l.state.scheduleOne(now); !found {
				return
			}
			l.observeAttempt(d, time.Since(began))
			if d.node != nil {
				l.startBinding(ctx, d, now)
			} else {
				l.reportFailure(d, now)
			}
		})
		if !found {
			return false, false
		}
	}
	return true, false
}

// applyInitialLists applies changes until every object that existed when it began is known: a decision that knows only some of the pods
// would overcommit a node.
func (l *leader) applyInitialLists(ctx context.Context) error {
	for _, k := range []*schema.Kind{core.Node, core.Namespace, core.Pod} {
		var list registry.List
		for {
			var err error
			if list, err = l.registry.List(ctx, k, "", registry.ListOptions{}); err == nil {
				break
			}
			l.log.Warn("initial list failed", "kind", k.Kind, "err", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		for _, it := range list.Items {
			if err := l.waitUntilApplied(ctx, it); err != nil {
				return fmt.Errorf("applying the initial list of %s: %w", k.Plural, err)
			}
		}
	}
	return nil
}

// appliedPoll is how often waitUntilApplied checks whether an object was deleted before it was followed.
const appliedPoll = 20 * time.Millisecond

// waitUntilApplied returns when the state has an item, or the item is deleted.
func (l *leader) waitUntilApplied(ctx context.Context, it *registry.Item) error {
	for {
		l.applyChanges(time.Now())
		if l.hasApplied(it) {
			return nil
		}
		switch current, err := l.registry.Get(ctx, it.Kind, it.Namespace, it.Name, "0"); {
		case errors.Is(err, registry.NotFound):
			return nil
		case err == nil:
			it = current // a pod that has ended since is not in the state
		}
		select {
		case change := <-l.changes.items:
			l.applyChange(change, time.Now())
		case <-time.After(appliedPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hasApplied returns whether the state has an item, at this revision or a later one.
func (l *leader) hasApplied(it *registry.Item) bool {
	c := l.state.cluster
	switch obj := it.Object().(type) {
	case *corev1.Node:
		n := c.nodes[it.Name]
		return n != nil && n.object != nil
	case *corev1.Namespace:
		return c.namespaces[it.Name] != nil
	case *corev1.Pod:
		p := c.pods[keyOf(it.Namespace, it.Name)]
		return pods.IsTerminal(obj) || p != nil && (obj.Spec.NodeName == "" || p.node != nil)
	}
	return true
}
