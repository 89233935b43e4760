package scheduler

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema/pods"
)

// missingPods are the bound pods that the watch reported as deleted and that may have vanished: their keys were deleted in etcd past the API, and
// their containers run until somebody decides what becomes of them (bynode.Hold). They stay accounted for on their nodes until then.
type missingPods struct {
	wake chan struct{} // has an element while pods were added and not checked

	mu   sync.Mutex // guards pods
	pods map[string]*registry.Item
}

func newMissingPods() *missingPods {
	return &missingPods{wake: make(chan struct{}, 1), pods: map[string]*registry.Item{}}
}

// mayHaveVanished returns whether a pod that is gone may have been deleted past the API. A pod that was being deleted was to go.
func mayHaveVanished(it *registry.Item) bool {
	return !it.Deleting() && it.Field("spec.nodeName") != "" && !pods.IsTerminal(it.Object().(*corev1.Pod))
}

func (m *missingPods) add(it *registry.Item) {
	m.mu.Lock()
	m.pods[keyOf(it.Namespace, it.Name)] = it
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// remove removes the pod with the name of it. It returns whether that was it itself.
func (m *missingPods) remove(it *registry.Item) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := keyOf(it.Namespace, it.Name)
	was := m.pods[key]
	delete(m.pods, key)
	return was == it
}

func (m *missingPods) all() []*registry.Item {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.pods))
}

// missingCheckEvery is how often it is checked whether pods that have vanished are given up.
const missingCheckEvery = time.Second

// checkMissingPods gives the room of missing pods free that did not vanish or are given up, until ctx is done.
func (l *leader) checkMissingPods(ctx context.Context) error {
	tick := time.NewTicker(missingCheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.missing.wake:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		all := l.missing.all()
		if len(all) == 0 {
			continue
		}
		gone, err := l.registry.NotVanished(ctx, all)
		if err != nil && ctx.Err() == nil {
			l.log.Warn("check of missing pods put off", "err", err)
		}
		for _, it := range gone {
			l.changes.put(ctx, func(now time.Time) {
				if l.missing.remove(it) {
					l.state.deletePod(it.Namespace, it.Name, now)
				}
			})
		}
	}
}

// applyVanishedPods accounts for the pods that vanished before this process led.
func (l *leader) applyVanishedPods(ctx context.Context) error {
	for {
		vanished, err := l.registry.VanishedPods(ctx)
		if err == nil {
			now := time.Now()
			for _, it := range vanished {
				if l.state.pods[keyOf(it.Namespace, it.Name)] == nil && mayHaveVanished(it) {
					l.state.setPod(it.Object().(*corev1.Pod), now)
					l.missing.add(it)
				}
			}
			return nil
		}
		l.log.Warn("initial list failed", "kind", "Pod", "err", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
