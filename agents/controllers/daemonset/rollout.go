package daemonset

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// surgeOf is how many pods more than nodes an update of n nodes may have.
func surgeOf(ds *appsv1.DaemonSet, n int) int {
	if ds.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType || ds.Spec.UpdateStrategy.RollingUpdate == nil {
		return 0
	}
	return resolve(ds.Spec.UpdateStrategy.RollingUpdate.MaxSurge, n)
}

func resolve(v *intstr.IntOrString, of int) int {
	if v == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, of, true)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// limits resolves maxSurge and maxUnavailable into pods. They are never both zero: no update could progress.
func (p *planner) limits(desired int) (surge, unavailable int) {
	surge = surgeOf(p.ds, desired)
	if r := p.ds.Spec.UpdateStrategy.RollingUpdate; r != nil {
		unavailable = resolve(r.MaxUnavailable, desired)
	}
	if desired > 0 && surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, unavailable
}

// rollOut moves the set on to its current template.
func (p *planner) rollOut() {
	mayRun := map[string]bool{}
	for _, node := range p.nodes {
		if run, _ := p.on(node); run {
			mayRun[node.Name] = true
		}
	}
	names := maps.Clone(mayRun)
	for name := range p.byNode {
		names[name] = true
	}
	nodes := slices.Sorted(maps.Keys(names))
	surge, unavailable := p.limits(len(mayRun))
	if surge == 0 {
		p.replace(nodes, unavailable)
	} else {
		p.surge(nodes, mayRun, surge)
	}
}

// onNode returns the new and the old pod of a node, of those that are not being deleted; false: there are more.
func (p *planner) onNode(node string) (updated, old *corev1.Pod, ok bool) {
	for _, pod := range p.byNode[node] {
		into := &old
		switch {
		case pod.DeletionTimestamp != nil:
			continue
		case isUpdated(p.ds, pod, p.hash):
			into = &updated
		}
		if *into != nil {
			return nil, nil, false
		}
		*into = pod
	}
	return updated, old, true
}

// replace deletes old pods: all that are not available, and as many others as maxUnavailable allows.
func (p *planner) replace(nodes []string, most int) {
	unavailable := 0
	var candidates []*corev1.Pod
	for _, node := range nodes {
		updated, old, ok := p.onNode(node)
		switch {
		case !ok, (updated == nil) == (old == nil): // something is to be created or deleted there
			unavailable++
		case updated != nil:
			if !p.available(updated) {
				unavailable++
			}
		case !p.available(old):
			unavailable++
			p.remove(old, "rolling update: it is not available")
		default:
			candidates = append(candidates, old)
		}
	}
	for _, old := range candidates[:min(max(most-unavailable, 0), len(candidates))] {
		p.remove(old, "rolling update")
	}
}

// surge creates new pods beside old ones: where the old one is not available, and on as many other nodes as maxSurge allows. Old pods go
// when the new one of their node is available.
func (p *planner) surge(nodes []string, mayRun map[string]bool, most int) {
	surging, available := 0, 0
	var candidates []string     // nodes
	var misplaced []*corev1.Pod // available ones on nodes that may not run new ones
	for _, node := range nodes {
		updated, old, ok := p.onNode(node)
		if !ok {
			surging++
			continue
		}
		oldAvailable := old != nil && p.available(old)
		if oldAvailable || old == nil && updated != nil && p.available(updated) {
			available++
		}
		switch {
		case old == nil:
		case updated != nil && !p.available(updated):
			surging++
		case updated != nil:
			p.remove(old, "rolling update: the new one is available")
		case !mayRun[node] && !oldAvailable:
			p.remove(old, "node "+node+" may not run new ones")
		case !mayRun[node]:
			misplaced = append(misplaced, old)
		case !oldAvailable:
			p.add(node, "rolling update: the old one is not available")
		default:
			candidates = append(candidates, node)
		}
	}
	// A misplaced pod goes when there are enough available ones elsewhere.
	for _, old := range misplaced[:min(max(available-len(mayRun), 0), len(misplaced))] {
		p.remove(old, "its node may not run new ones, and enough are available elsewhere")
	}
	for _, node := range candidates[:min(max(most-surging, 0), len(candidates))] {
		p.add(node, "rolling update: surge")
	}
}
