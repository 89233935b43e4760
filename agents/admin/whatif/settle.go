package whatif

import (
	"cmp"
	"context"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/registry/election"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/pods"
)

// The copy has settled when nothing has been written for quiet and every workload and pod is as wanted, or where something never will be:
// when nothing has been written for stuck.
const (
	quiet = 300 * time.Millisecond
	stuck = 3 * time.Second
)

// settle waits until the agents have nothing more to do.
func (c *Cluster) settle(ctx context.Context) error {
	return c.untilSettled(ctx, func() (bool, error) { return true, nil })
}

// untilSettled calls try after every burst of writes until it returns true and the copy has settled, or until that is so whatever
// try returns.
func (c *Cluster) untilSettled(ctx context.Context, try func() (bool, error)) error {
	rev, err := c.store.Revision(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	writes := c.store.Watch(ctx, "/registry/", store.RangeEnd("/registry/"), rev+1, false)
	last := time.Now()
	done, err := try()
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, open := <-writes:
			if !open || b.Err != nil {
				return cmp.Or(b.Err, ctx.Err())
			}
			last = time.Now()
			if !done {
				if done, err = try(); err != nil {
					return err
				}
			}
		case <-time.After(quiet):
			asWanted, err := c.asWanted(ctx)
			if err != nil {
				return err
			}
			if done && asWanted || time.Since(last) > stuck {
				return nil
			}
		}
	}
}

// asWanted tells whether the agents are done with every workload and every pod.
func (c *Cluster) asWanted(ctx context.Context) (bool, error) {
	list, err := c.pods.CachedList(ctx, "", "")
	if err != nil {
		return false, err
	}
	count := map[types.UID]int32{} // pods by controller
	for _, p := range list {
		switch {
		case pods.IsTerminal(p):
			continue
		case p.DeletionTimestamp != nil, p.Spec.NodeName == "" && pods.Condition(p, corev1.PodScheduled) == nil:
			return false, nil
		}
		count[controllerOf(p)]++
	}
	deployments, err := every(ctx, c, func(d *appsv1.Deployment) bool {
		return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas && d.Status.Replicas == *d.Spec.Replicas
	})
	if err != nil || !deployments {
		return false, err
	}
	replicaSets, err := every(ctx, c, func(r *appsv1.ReplicaSet) bool {
		return r.Status.ObservedGeneration == r.Generation && count[r.UID] == *r.Spec.Replicas && r.Status.Replicas == *r.Spec.Replicas
	})
	if err != nil || !replicaSets {
		return false, err
	}
	statefulSets, err := every(ctx, c, func(s *appsv1.StatefulSet) bool {
		u := s.Spec.UpdateStrategy
		rolls := u.Type == appsv1.RollingUpdateStatefulSetStrategyType && (u.RollingUpdate == nil || u.RollingUpdate.Partition == nil || *u.RollingUpdate.Partition == 0)
		return s.Status.ObservedGeneration == s.Generation && count[s.UID] == *s.Spec.Replicas && (!rolls || s.Status.CurrentRevision == s.Status.UpdateRevision)
	})
	if err != nil || !statefulSets {
		return false, err
	}
	return every(ctx, c, func(d *appsv1.DaemonSet) bool {
		want, rolls := d.Status.DesiredNumberScheduled, d.Spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType
		return d.Status.ObservedGeneration == d.Generation && count[d.UID] == want && (!rolls || d.Status.UpdatedNumberScheduled == want)
	})
}

// every tells whether all objects of a kind are as ok says.
func every[T schema.Object](ctx context.Context, c *Cluster, ok func(T) bool) (bool, error) {
	list, err := registry.For[T](c.registry).CachedList(ctx, "", "")
	return !slices.ContainsFunc(list, func(obj T) bool { return !ok(obj) }), err
}

// agentsLead waits until the agents have been elected on the copy.
func (c *Cluster) agentsLead(ctx context.Context) error {
	rev, err := c.store.Revision(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	elections := c.store.Watch(ctx, election.Prefix, store.RangeEnd(election.Prefix), rev+1, false)
	for {
		controllers, err := c.registry.HasLeader(ctx, "controllers")
		if err != nil {
			return err
		}
		scheduler, err := c.registry.HasLeader(ctx, "scheduler")
		if err != nil || controllers && scheduler {
			return err
		}
		if b, open := <-elections; !open || b.Err != nil {
			return cmp.Or(b.Err, ctx.Err())
		}
	}
}
