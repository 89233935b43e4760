package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/core"
	"gantry/schema/internal/check"
)

func validateReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	var f check.Errors
	p := field.NewPath("spec")
	checkReplicas(&f, rs.Spec.Replicas, p)
	f.NotNegative(p.Child("minReadySeconds"), int64(rs.Spec.MinReadySeconds))
	checkSelector(&f, rs.Spec.Selector, &rs.Spec.Template, p)
	return f.List
}

func validateReplicaSetUpdate(rs, old *appsv1.ReplicaSet) field.ErrorList {
	var f check.Errors
	f.Same(field.NewPath("spec", "selector"), rs.Spec.Selector, old.Spec.Selector)
	return append(validateReplicaSet(rs), f.List...)
}

func validateReplicaSetStatus(rs, _ *appsv1.ReplicaSet) field.ErrorList {
	var f check.Errors
	s, p := &rs.Status, field.NewPath("status")
	checkCounts(&f, p, counts{
		{"replicas", int64(s.Replicas)}, {"fullyLabeledReplicas", int64(s.FullyLabeledReplicas)}, {"readyReplicas", int64(s.ReadyReplicas)},
		{"availableReplicas", int64(s.AvailableReplicas)}, {"observedGeneration", s.ObservedGeneration}, {"terminatingReplicas", value(s.TerminatingReplicas)},
	})
	checkParts(&f, p, s.Replicas, counts{
		{"fullyLabeledReplicas", int64(s.FullyLabeledReplicas)}, {"readyReplicas", int64(s.ReadyReplicas)}, {"availableReplicas", int64(s.AvailableReplicas)},
	})
	checkAvailable(&f, p, s.AvailableReplicas, s.ReadyReplicas)
	return f.List
}

func replicaSetWarnings(rs, old *appsv1.ReplicaSet) []string {
	return templateWarnings(rs, &rs.Spec.Template, old == nil, old != nil && rs.Generation == old.Generation)
}

func boundReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	return core.BoundPodSpec(&rs.Spec.Template.Spec, templateSpec)
}
