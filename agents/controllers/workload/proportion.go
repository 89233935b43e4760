package workload

import (
	"cmp"
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
)

// resized tells that the deployment's size was changed since a replica set was last sized.
func (o *rollout) resized() bool {
	for _, rs := range active(o.all()) {
		if desired, ok := sizeAnnotation(rs, desiredAnnotation); ok && desired != o.replicas() {
			return true
		}
	}
	return false
}

// scale follows a change of the deployment's size without moving the rollout on: one active replica set gets it all; where
// the current one has all it needs the others go; in the middle of a rolling update each gets its share.
func (o *rollout) scale() {
	if only := o.only(); only != nil {
		o.setSize(only, o.replicas(), "the deployment's size")
		return
	}
	if o.saturated() {
		for _, rs := range active(o.olds) {
			o.setSize(rs, 0, "the current replica set has every pod")
		}
		return
	}
	if o.d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		o.scaleProportionally()
	}
}

// only is the one replica set with pods or, where none has any, the current or the newest; nil where several have.
func (o *rollout) only() *appsv1.ReplicaSet {
	switch a := active(o.all()); {
	case len(a) == 1:
		return a[0]
	case len(a) > 1:
		return nil
	case o.current != nil:
		return o.current
	case len(o.olds) > 0:
		return o.olds[len(o.olds)-1]
	}
	return nil
}

func (o *rollout) saturated() bool {
	if o.current == nil {
		return false
	}
	desired, ok := sizeAnnotation(o.current, desiredAnnotation)
	n := o.replicas()
	return ok && size(o.current) == n && desired == n && o.current.Status.AvailableReplicas == n
}

// scaleProportionally distributes what is to be added or removed in proportion to the sizes; the largest gets what rounding leaves.
func (o *rollout) scaleProportionally() {
	sets := active(o.all())
	surge, _ := o.limits()
	allowed := int32(0)
	if o.replicas() > 0 {
		allowed = o.replicas() + surge
	}
	add := allowed - sum(sets, size)
	slices.SortStableFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		age := olderSet(a, b)
		if add > 0 {
			age = -age // growing: the newest of equals first
		}
		return cmp.Or(cmp.Compare(size(b), size(a)), age)
	})
	sizes := make([]int32, len(sets))
	added := int32(0)
	for i, rs := range sets {
		part := int32(0)
		if add != 0 {
			part = o.proportion(rs, add, added)
		}
		sizes[i] = size(rs) + part
		added += part
	}
	for i, rs := range sets {
		if i == 0 && add != 0 {
			sizes[0] = max(sizes[0]+add-added, 0)
		}
		o.setSize(rs, sizes[i], "its share of the deployment's size")
	}
}

// proportion is a replica set's part of what is to be added (or taken, below 0), of which added is distributed already.
func (o *rollout) proportion(rs *appsv1.ReplicaSet, add, added int32) int32 {
	if size(rs) == 0 || add == added {
		return 0
	}
	part := -size(rs)
	if o.replicas() > 0 {
		surge, _ := o.limits()
		before, ok := sizeAnnotation(rs, maxAnnotation)
		if !ok || before == 0 {
			before = o.seen.Status.Replicas
		}
		if before == 0 {
			return 0
		}
		grown := float64(size(rs)) * float64(o.replicas()+surge) / float64(before)
		part = int32(math.Round(min(grown, 1<<30))) - size(rs)
	}
	if add > 0 {
		return min(part, add-added)
	}
	return max(part, add-added)
}
