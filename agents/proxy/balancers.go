package proxy

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/proxy/announce"
)

// announce keeps the load balancer addresses that this node announces, until ctx is done.
func (a *agent) announce(ctx context.Context) error {
	if err := a.tracker.waitForSync(ctx, a.cfg); err != nil {
		return nil // an address that is not known yet must not be released
	}
	duties := func() []announce.Duty { return a.tracker.duties(a.cfg.NodeName) }
	return announce.Run(ctx, duties, a.tracker.balancers, a.cfg.Log)
}

// duties returns the load balancer addresses that a node announces or may have to.
func (tracker *changeTracker) duties(node string) []announce.Duty {
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	var balanced []announce.Service
	for key, svc := range tracker.services {
		if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
			balanced = append(balanced, announce.Service{Service: svc, Slices: slices.Collect(maps.Values(tracker.slices[key]))})
		}
	}
	if len(balanced) == 0 {
		return nil
	}
	return announce.Duties(node, balanced, slices.Collect(maps.Values(tracker.nodes)))
}

// balancersChanged reports a change of a load balancer, nil ones and Services of other types left out.
func (tracker *changeTracker) balancersChanged(svcs ...*corev1.Service) {
	if slices.ContainsFunc(svcs, func(s *corev1.Service) bool { return s != nil && s.Spec.Type == corev1.ServiceTypeLoadBalancer }) {
		signal(tracker.balancers)
	}
}

// signal sends a message unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
