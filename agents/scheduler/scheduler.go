package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/internal/events"
	"gantry/registry"
	"gantry/registry/safely"
	"gantry/schema"
	"gantry/schema/core"
)

// Run schedules pods while this process is the leader, until ctx is done.
func Run(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Health.Ready("scheduler", cfg.Registry.Ready)
	err := cfg.Registry.Lead(ctx, "scheduler", cfg.Identity, func(ctx context.Context, r *registry.Registry) error {
		return newLeader(cfg, r).run(ctx)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// leader is one time of leadership. The brain belongs to the goroutine of decide; all others send it changes.
type leader struct {
	registry *registry.Registry // every write through it is fenced
	pods     registry.Typed[*corev1.Pod]
	recorder *events.Recorder
	log      *slog.Logger
	name     string // of the scheduler

	brain   *brain
	changes *mailbox[func(now time.Time)]
	binds   *mailbox[decision]
	reports *mailbox[report]
	evicts  *mailbox[eviction]
}

// How many writes are in flight at once.
const (
	binders   = 64
	reporters = 8
	evictors  = 4
)

func newLeader(cfg Config, r *registry.Registry) *leader {
	return &leader{
		registry: r, pods: registry.For[*corev1.Pod](r), log: cfg.Log, name: cfg.SchedulerName,
		recorder: events.New(r, cfg.SchedulerName, "", cfg.Log),
		brain:    newBrain(cfg.SchedulerName),
		changes:  newMailbox[func(time.Time)](), binds: newMailbox[decision](), reports: newMailbox[report](), evicts: newMailbox[eviction](),
	}
}

// run works until ctx is done and everything it started has ended.
func (l *leader) run(ctx context.Context) error {
	g, ctx := safely.WithContext(ctx)
	follow := func(k *schema.Kind, f func(registry.Change)) {
		g.Go(func() error { return l.registry.Follow(ctx, k, f) })
	}
	follow(core.Node, l.seeNode)
	follow(core.Namespace, l.seeNamespace)
	follow(core.Pod, l.seePod)
	g.Go(func() error { return safely.Keep(ctx, l.log, "writing events", l.recorder.Run) })
	g.Go(func() error { l.binds.work(ctx, l.log, "binding", binders, l.bind); return nil })
	g.Go(func() error { l.reports.work(ctx, l.log, "reporting", reporters, l.report); return nil })
	g.Go(func() error { l.evicts.work(ctx, l.log, "evicting", evictors, l.evict); return nil })
	g.Go(func() error { return safely.Keep(ctx, l.log, "deciding", l.decide) })
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (l *leader) seeNode(c registry.Change) {
	l.changes.put(func(now time.Time) {
		if c.New == nil {
			l.brain.node(c.Old.Name, nil, now)
			return
		}
		l.brain.node(c.New.Name, c.New.Object().(*corev1.Node), now)
	})
}

func (l *leader) seeNamespace(c registry.Change) {
	l.changes.put(func(now time.Time) {
		if c.New == nil {
			l.brain.namespace(c.Old.Name, nil, now)
			return
		}
		set := labels.Set(c.New.Object().GetLabels())
		if set == nil {
			set = labels.Set{}
		}
		l.brain.namespace(c.New.Name, set, now)
	})
}

func (l *leader) seePod(c registry.Change) {
	l.changes.put(func(now time.Time) {
		if c.New == nil {
			l.brain.gone(c.Old.Namespace, c.Old.Name, now)
			return
		}
		l.brain.pod(c.New.Object().(*corev1.Pod), now)
	})
}

// batch is how many decisions are made before changes are looked at again.
const batch = 64

// decide takes in changes and decides on pods until ctx is done.
func (l *leader) decide(ctx context.Context) error {
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		l.takeIn(now)
		due := l.brain.queue.promote(now)
		if l.decideSome(now) {
			continue
		}
		l.measure()
		timer.Stop()
		if !due.IsZero() {
			timer.Reset(time.Until(due))
		}
		select {
		case <-l.changes.news:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return nil
}

func (l *leader) takeIn(now time.Time) {
	for _, change := range l.changes.drain() {
		safely.Do(l.log, "taking a change in", func() { change(now) })
	}
}

// decideSome tells whether there may be more to decide on at once.
func (l *leader) decideSome(now time.Time) bool {
	for range batch {
		began := time.Now()
		some := true
		safely.Do(l.log, "deciding on a pod", func() {
			var d decision
			if d, some = l.brain.next(now); !some {
				return
			}
			l.attempted(d, time.Since(began))
			if d.node != nil {
				l.binds.put(d)
			} else {
				l.explain(d, now)
			}
		})
		if !some {
			return false
		}
	}
	return true
}

// catchUp takes in changes until everything that was there when it began is known: a decision on half of the pods
// would give away the same room twice.
func (l *leader) catchUp(ctx context.Context) error {
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
			if err := l.await(ctx, it); err != nil {
				return fmt.Errorf("catching up with %s: %w", k.Plural, err)
			}
		}
	}
	return nil
}

// catchUpPoll is how often await looks whether an object is gone without a trace.
const catchUpPoll = 20 * time.Millisecond

// await returns when the brain knows an item, or the item is gone.
func (l *leader) await(ctx context.Context, it *registry.Item) error {
	for {
		l.takeIn(time.Now())
		if l.knows(it) {
			return nil
		}
		switch current, err := l.registry.Get(ctx, it.Kind, it.Namespace, it.Name, "0"); {
		case errors.Is(err, registry.NotFound):
			return nil
		case err == nil:
			it = current // it may have ended since, and then is never heard of
		}
		select {
		case <-l.changes.news:
		case <-time.After(catchUpPoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// knows tells whether the brain has seen an item, in this state or a later one.
func (l *leader) knows(it *registry.Item) bool {
	w := l.brain.world
	switch obj := it.Object().(type) {
	case *corev1.Node:
		n := w.nodes[it.Name]
		return n != nil && n.object != nil
	case *corev1.Namespace:
		return w.namespaces[it.Name] != nil
	case *corev1.Pod:
		p := w.pods[keyOf(it.Namespace, it.Name)]
		return ended(obj) || p != nil && (obj.Spec.NodeName == "" || p.node != nil)
	}
	return true
}
