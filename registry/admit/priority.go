package admit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"

	"gantry/schema"
	"gantry/schema/scheduling"
)

// wantsPriority tells whether the rule concerns an operation: creating or updating a pod, and any operation on a priority class.
func wantsPriority(o Operation, k *schema.Kind, subresource string) bool {
	if o == Connect || subresource != "" {
		return false
	}
	return o != Delete && k.Plural == "pods" && k.Group == "" || isPriorityClass(k)
}

func isPriorityClass(k *schema.Kind) bool {
	return k.Plural == "priorityclasses" && k.Group == schedulingv1.GroupName
}

// setPriority resolves a new pod's priorityClassName to its priority and preemption policy, which a client may not
// choose itself; an update keeps them.
func setPriority(ctx context.Context, read Reader, q *Request) error {
	pod, ok := q.Object.(*corev1.Pod)
	if !ok {
		return nil
	}
	spec := &pod.Spec
	if q.Operation == Update {
		keepPriority(spec, &q.Old.(*corev1.Pod).Spec)
		return nil
	}
	class, err := classOf(ctx, read, spec.PriorityClassName)
	if err != nil {
		return err
	}
	if p := spec.Priority; p != nil && *p != class.value {
		return denied("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *p, class.value)
	}
	if p := spec.PreemptionPolicy; p != nil && *p != class.policy {
		return denied("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *p, class.policy)
	}
	spec.PriorityClassName, spec.Priority, spec.PreemptionPolicy = class.name, &class.value, &class.policy
	return nil
}

func keepPriority(spec, old *corev1.PodSpec) {
	if spec.Priority == nil && old.Priority != nil {
		v := *old.Priority
		spec.Priority = &v
	}
	if spec.PreemptionPolicy == nil && old.PreemptionPolicy != nil {
		v := *old.PreemptionPolicy
		spec.PreemptionPolicy = &v
	}
}

// priorityClass is what a pod gets from its class.
type priorityClass struct {
	name   string
	value  int32
	policy corev1.PreemptionPolicy
}

// classOf is the class of a name; "" is the default class, or the priority 0 where there is none.
func classOf(ctx context.Context, read Reader, name string) (priorityClass, error) {
	if system := scheduling.SystemClass(name); system != nil { // their objects may be created later than the first pods
		return valueOf(system), nil
	}
	if name == "" {
		class, err := defaultClass(ctx, read)
		if class == nil || err != nil {
			return priorityClass{policy: corev1.PreemptLowerPriority}, err
		}
		return valueOf(class), nil
	}
	found, err := read.Find(ctx, schedulingv1.GroupName, "priorityclasses", "", name)
	if err != nil {
		return priorityClass{}, fmt.Errorf("looking up priority class %s: %w", name, err)
	}
	class, ok := found.Object.(*schedulingv1.PriorityClass)
	if !ok {
		return priorityClass{}, denied("no PriorityClass with name %s was found", name)
	}
	return valueOf(class), nil
}

func valueOf(class *schedulingv1.PriorityClass) priorityClass {
	out := priorityClass{class.Name, class.Value, corev1.PreemptLowerPriority}
	if class.PreemptionPolicy != nil {
		out.policy = *class.PreemptionPolicy
	}
	return out
}

// defaultClass is the class of pods that name none: of several, the one with the lowest value. nil: there is none.
func defaultClass(ctx context.Context, read Reader) (lowest *schedulingv1.PriorityClass, err error) {
	if !read.Serves(schedulingv1.GroupName, "priorityclasses") {
		return nil, nil
	}
	classes, err := read.List(ctx, schedulingv1.GroupName, "priorityclasses", "")
	if err != nil {
		return nil, fmt.Errorf("looking for the default priority class: %w", err)
	}
	for _, obj := range classes {
		class, ok := obj.(*schedulingv1.PriorityClass)
		if ok && class.GlobalDefault && (lowest == nil || class.Value < lowest.Value) {
			lowest = class
		}
	}
	return lowest, nil
}

// checkPriorityClass refuses a second default class, and the deletion of a system class.
func checkPriorityClass(ctx context.Context, read Reader, q *Request) error {
	if q.Operation == Delete {
		if scheduling.SystemClass(q.Name) != nil {
			return denied("this is a system priority class and cannot be deleted")
		}
		return nil
	}
	class, ok := q.Object.(*schedulingv1.PriorityClass)
	if !ok || !class.GlobalDefault {
		return nil
	}
	current, err := defaultClass(ctx, read)
	if err != nil {
		return err
	}
	if current != nil && (q.Operation == Create || current.Name != class.Name) {
		return denied("PriorityClass %v is already marked as default. Only one default can exist", current.Name)
	}
	return nil
}
