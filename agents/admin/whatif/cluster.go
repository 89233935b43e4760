package whatif

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/admin/snapshot"
	"gantry/registry"
	"gantry/registry/election"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// Config is what Run needs.
type Config struct {
	State *snapshot.Snapshot
	// Registry makes the registry over the copy.
	Registry func(store.Store) *registry.Registry
	// Agents runs the scheduler and the controllers of workloads on a registry until ctx is done.
	Agents func(ctx context.Context, r *registry.Registry) error
	// Now is when the snapshot was read.
	Now time.Time
}

// Cluster is the copy, with the agents at work on it.
type Cluster struct {
	registry *registry.Registry
	store    store.Store
	kinds    *schema.Set
	pods     registry.Typed[*corev1.Pod]
	known    map[types.UID]bool // the pods of the snapshot
	now      time.Time
}

// Run makes the copy, lets the agents finish what is under way, and calls work. It returns work's error, or that of an agent that ended.
func Run(ctx context.Context, cfg Config, work func(ctx context.Context, c *Cluster) error) error {
	memory, err := cfg.State.Copy(ctx)
	if err != nil {
		return err
	}
	if err := endTerms(ctx, memory); err != nil {
		return err
	}
	r := cfg.Registry(memory)
	c := &Cluster{registry: r, store: memory, kinds: cfg.State.Kinds, pods: registry.For[*corev1.Pod](r), known: map[types.UID]bool{}, now: cfg.Now}
	for _, e := range cfg.State.All(core.Pod, "") {
		c.known[e.Object.GetUID()] = true
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	run := func(f func(context.Context) error) {
		g.Go(func() error {
			if err := f(ctx); ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
	run(r.Run)
	run(func(ctx context.Context) error { return cfg.Agents(ctx, r) })
	run(c.playNodes)
	g.Go(func() error {
		defer stop()
		if err := c.agentsLead(ctx); err != nil {
			return err
		}
		if err := c.settle(ctx); err != nil {
			return err
		}
		return work(ctx, c)
	})
	return g.Wait()
}

// endTerms deletes the leaders' keys, which the snapshot has of processes that do not know the copy.
func endTerms(ctx context.Context, s store.Store) error {
	kvs, _, _, err := s.List(ctx, election.Prefix, store.RangeEnd(election.Prefix), 0, 0)
	if err != nil || len(kvs) == 0 {
		return err
	}
	var t store.Txn
	for _, kv := range kvs {
		t.Deletes = append(t.Deletes, kv.Key)
	}
	_, err = s.Commit(ctx, t)
	return err
}

// all are the pods, by namespace and name.
func (c *Cluster) all(ctx context.Context) ([]*corev1.Pod, error) {
	list, err := c.pods.CachedList(ctx, "", "")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}
