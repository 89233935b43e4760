package admit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
)

// systemClasses are the priority classes that exist without being stored.
var systemClasses = map[string]int32{
	"system-cluster-critical": 2_000_000_000,
	"system-node-critical":    2_000_001_000,
}

// priority resolves a new pod's priorityClassName to its priority and preemption policy, which a client may not
// choose itself; an update keeps them.
func priority(ctx context.Context, read Reader, q *Request) error {
	if !q.is("Pod", Create, Update) {
		return nil
	}
	spec := &q.Obj.(*corev1.Pod).Spec
	if q.Op == Update {
		old := &q.Old.(*corev1.Pod).Spec
		if spec.Priority == nil && old.Priority != nil {
			v := *old.Priority
			spec.Priority = &v
		}
		if spec.PreemptionPolicy == nil && old.PreemptionPolicy != nil {
			v := *old.PreemptionPolicy
			spec.PreemptionPolicy = &v
		}
		return nil
	}
	value, policy, err := classOf(ctx, read, spec.PriorityClassName)
	if err != nil {
		return err
	}
	if p := spec.Priority; p != nil && *p != value {
		return denied("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *p, value)
	}
	if p := spec.PreemptionPolicy; p != nil && *p != policy {
		return denied("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *p, policy)
	}
	spec.Priority, spec.PreemptionPolicy = &value, &policy
	return nil
}

func classOf(ctx context.Context, read Reader, name string) (int32, corev1.PreemptionPolicy, error) {
	if name == "" {
		return 0, corev1.PreemptLowerPriority, nil
	}
	if value, ok := systemClasses[name]; ok {
		return value, corev1.PreemptLowerPriority, nil
	}
	obj, ok, err := read.Find(ctx, schedulingv1.GroupName, "priorityclasses", "", name)
	if err != nil {
		return 0, "", fmt.Errorf("looking up priority class %s: %w", name, err)
	}
	class, is := obj.(*schedulingv1.PriorityClass)
	if !ok || !is {
		return 0, "", denied("no PriorityClass with name %s was found", name)
	}
	if class.PreemptionPolicy == nil {
		return class.Value, corev1.PreemptLowerPriority, nil
	}
	return class.Value, *class.PreemptionPolicy, nil
}
