package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/pods"
)

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
	return l.applyVanishedPods(ctx)
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
		n := c.Nodes[it.Name]
		return n != nil && n.Object != nil
	case *corev1.Namespace:
		return c.Namespaces[it.Name] != nil
	case *corev1.Pod:
		p := l.state.pods[keyOf(it.Namespace, it.Name)]
		return pods.IsTerminal(obj) || p != nil && (obj.Spec.NodeName == "" || p.Node != nil)
	}
	return true
}
