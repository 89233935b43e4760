package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/admit"
	"gantry/registry/objectmeta"
	"gantry/registry/store"
	"gantry/schema"
)

// Bind gives a pod to the node that binding.target names: it sets spec.nodeName, the condition PodScheduled, and
// the binding's labels and annotations. A pod that has a node, is being deleted or is gated is a Conflict. o.UID (or the
// binding's own uid) and o.ResourceVersion must match, where set.
func (r *Registry) Bind(ctx context.Context, namespace, name string, binding *corev1.Binding, o WriteOptions) (*Item, error) {
	k := r.kinds.Set().Resource("", "pods")
	if k == nil {
		return nil, &Error{Kind: NotFound, Resource: "pods", KindName: "Pod", Name: name}
	}
	t, err := targetOf(k, namespace, name)
	if err != nil {
		return nil, err
	}
	o.Subresource = "binding"
	a := r.admissionOfWrite(ctx, admit.Create, t, o)
	if a != nil {
		a.Object = binding
	}
	if err := a.mutate(ctx); err != nil {
		return nil, err
	}
	if err := checkBinding(t, binding); err != nil {
		return nil, err
	}
	if err := a.validate(ctx, false); err != nil {
		return nil, err
	}
	if o.UID == "" {
		o.UID = string(binding.UID)
	}
	now := time.Now()
	it, err := r.modify(ctx, t, func(current schema.Object) (schema.Object, error) {
		return current, bind(current.(*corev1.Pod), binding, now)
	}, o, a)
	var e *Error
	if errors.As(err, &e) && e.Kind == Conflict && !strings.HasPrefix(e.Reason, "StorageError") {
		named := *e
		named.Resource = "pods/binding"
		return nil, &named
	}
	return it, err
}

func checkBinding(t target, b *corev1.Binding) error {
	if b.Name != "" && b.Name != t.name {
		return t.newError(BadRequest, "name in URL does not match name in Binding object")
	}
	var errs field.ErrorList
	path := field.NewPath("target")
	if b.Target.Kind != "" && b.Target.Kind != "Node" {
		errs = append(errs, field.NotSupported(path.Child("kind"), b.Target.Kind, []string{"Node", "<empty>"}))
	}
	if b.Target.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	}
	return invalidBinding(t.name, errs...)
}

// invalidBinding is an error about a binding to the pod with a name; nil: there are none.
func invalidBinding(name string, errs ...*field.Error) error {
	if len(errs) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Resource: "bindings", KindName: "Binding", Name: name, Fields: errs}
}

// bind changes the pod, or returns why it cannot be bound.
func bind(pod *corev1.Pod, b *corev1.Binding, now time.Time) error {
	conflict := func(format string, args ...any) error {
		return &Error{Kind: Conflict, Resource: "pods/binding", KindName: "Pod", Name: pod.Name, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case pod.DeletionTimestamp != nil:
		return conflict("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	case pod.Spec.NodeName != "":
		return conflict("pod %s is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	case len(pod.Spec.SchedulingGates) > 0:
		return conflict("pod %s has non-empty .spec.schedulingGates", pod.Name)
	case !store.IsSegment(b.Target.Name): // the by-node copy's key has it
		return invalidBinding(pod.Name, field.Invalid(field.NewPath("target", "name"), b.Target.Name, "is not the name of a node"))
	}
	pod.Spec.NodeName = b.Target.Name
	pod.Annotations = merged(pod.Annotations, b.Annotations)
	pod.Labels = merged(pod.Labels, b.Labels)
	setScheduled(pod, objectmeta.Time(now))
	return nil
}

func merged(into, from map[string]string) map[string]string {
	if into == nil && len(from) > 0 {
		into = map[string]string{}
	}
	for k, v := range from {
		into[k] = v
	}
	return into
}

func setScheduled(pod *corev1.Pod, now metav1.Time) {
	c := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionTrue,
		LastTransitionTime: now,
	}
	conditions := pod.Status.Conditions
	i := slices.IndexFunc(conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled })
	if i < 0 {
		pod.Status.Conditions = append(conditions, c)
		return
	}
	if conditions[i].Status == c.Status {
		c.LastTransitionTime = conditions[i].LastTransitionTime
	}
	conditions[i] = c
}
