package admit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	resourcehelper "k8s.io/component-helpers/resource"

	"gantry/schema"
)

const (
	limitRangerAnnotation = "kubernetes.io/limit-ranger"
	// maxLimitErrors bounds the errors that a refusal lists.
	maxLimitErrors = 500
)

// wantsLimits: requests of pods and claims are bounded where they are set.
func wantsLimits(o Operation, k *schema.Kind, subresource string) bool {
	switch {
	case k.Group != "":
		return false
	case k.Plural == "pods":
		return o == Create && subresource == "" || o == Update && subresource == "resize"
	case k.Plural == "persistentvolumeclaims":
		return (o == Create || o == Update) && subresource == ""
	}
	return false
}

// limitsOf are the limits of the request's namespace; none for an object that is being deleted.
func limitsOf(ctx context.Context, read Reader, q *Request) ([]*corev1.LimitRange, error) {
	if q.Old != nil && q.Old.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	list, err := read.List(ctx, "", "limitranges", q.Namespace)
	if err != nil {
		return nil, fmt.Errorf("listing limit ranges of namespace %s: %w", q.Namespace, err)
	}
	ranges := make([]*corev1.LimitRange, len(list))
	for i, obj := range list {
		ranges[i] = obj.(*corev1.LimitRange)
	}
	return ranges, nil
}

// setLimits gives a pod's containers the requests and limits that they do not have, and notes in an annotation what it gave.
func setLimits(ctx context.Context, read Reader, q *Request) error {
	pod, ok := q.Object.(*corev1.Pod)
	if !ok {
		return nil
	}
	ranges, err := limitsOf(ctx, read, q)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		setDefaults(pod, r)
	}
	return nil
}

func setDefaults(pod *corev1.Pod, r *corev1.LimitRange) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range r.Spec.Limits {
		if l := &r.Spec.Limits[i]; l.Type == corev1.LimitTypeContainer {
			maps.Copy(requests, l.DefaultRequest)
			maps.Copy(limits, l.Default)
		}
	}
	var notes []string
	set := func(list *corev1.ResourceList, defaults corev1.ResourceList, what, name string) {
		if given := addMissing(list, defaults); len(given) > 0 {
			notes = append(notes, fmt.Sprintf("%s %s %s", strings.Join(given, ", "), what, name))
		}
	}
	for _, part := range []struct {
		kind       string
		containers []corev1.Container
	}{{"container", pod.Spec.Containers}, {"init container", pod.Spec.InitContainers}} {
		for i := range part.containers {
			c := &part.containers[i]
			set(&c.Resources.Requests, requests, "request for "+part.kind, c.Name)
			set(&c.Resources.Limits, limits, "limit for "+part.kind, c.Name)
		}
	}
	if len(notes) == 0 {
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[limitRangerAnnotation] = "LimitRanger plugin set: " + strings.Join(notes, "; ")
}

// addMissing adds the defaults that list does not have and returns their names, sorted.
func addMissing(list *corev1.ResourceList, defaults corev1.ResourceList) (added []string) {
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if _, there := (*list)[name]; there {
			continue
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = defaults[name].DeepCopy()
		added = append(added, string(name))
	}
	return added
}

// checkLimits refuses requests and limits outside those of the namespace.
func checkLimits(ctx context.Context, read Reader, q *Request) error {
	ranges, err := limitsOf(ctx, read, q)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		var c limitCheck
		for i := range r.Spec.Limits {
			switch obj := q.Object.(type) {
			case *corev1.Pod:
				c.pod(&r.Spec.Limits[i], obj)
			case *corev1.PersistentVolumeClaim:
				c.claim(&r.Spec.Limits[i], obj)
			}
		}
		if err := utilerrors.NewAggregate(c.errs); err != nil {
			return denied("%v", err)
		}
	}
	return nil
}

// limitCheck collects what is outside of a limit range.
type limitCheck struct{ errs []error }

func (c *limitCheck) add(format string, args ...any) {
	if len(c.errs) < maxLimitErrors {
		c.errs = append(c.errs, fmt.Errorf(format, args...))
	}
}

func (c *limitCheck) pod(l *corev1.LimitRangeItem, pod *corev1.Pod) {
	switch l.Type {
	case corev1.LimitTypeContainer:
		for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
			for i := range containers {
				c.both(l, containers[i].Resources.Requests, containers[i].Resources.Limits)
			}
		}
	case corev1.LimitTypePod:
		o := resourcehelper.PodResourcesOptions{ExcludeOverhead: true}
		c.both(l, resourcehelper.PodRequests(pod, o), resourcehelper.PodLimits(pod, o))
	}
}

func (c *limitCheck) both(l *corev1.LimitRangeItem, requests, limits corev1.ResourceList) {
	for _, name := range slices.Sorted(maps.Keys(l.Min)) {
		c.min(l, name, requests, limits)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Max)) {
		c.max(l, name, requests, limits)
	}
	for _, name := range slices.Sorted(maps.Keys(l.MaxLimitRequestRatio)) {
		c.ratio(l, name, requests, limits)
	}
}

// claim checks the requests alone: limits of claims mean nothing.
func (c *limitCheck) claim(l *corev1.LimitRangeItem, claim *corev1.PersistentVolumeClaim) {
	if l.Type != corev1.LimitTypePersistentVolumeClaim {
		return
	}
	requests := claim.Spec.Resources.Requests
	for _, name := range slices.Sorted(maps.Keys(l.Min)) {
		c.min(l, name, requests, nil)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Max)) {
		most := l.Max[name]
		if q, there := requests[name]; !there {
			c.add("maximum %s usage per %s is %s.  No request is specified", name, l.Type, most.String())
		} else if q.Cmp(most) > 0 {
			c.add("maximum %s usage per %s is %s, but request is %s", name, l.Type, most.String(), q.String())
		}
	}
}

func (c *limitCheck) min(l *corev1.LimitRangeItem, name corev1.ResourceName, requests, limits corev1.ResourceList) {
	least := l.Min[name]
	request, requested := requests[name]
	limit, limited := limits[name]
	switch {
	case !requested:
		c.add("minimum %s usage per %s is %s.  No request is specified", name, l.Type, least.String())
	case request.Cmp(least) < 0:
		c.add("minimum %s usage per %s is %s, but request is %s", name, l.Type, least.String(), request.String())
	case limited && limit.Cmp(least) < 0:
		c.add("minimum %s usage per %s is %s, but limit is %s", name, l.Type, least.String(), limit.String())
	}
}

func (c *limitCheck) max(l *corev1.LimitRangeItem, name corev1.ResourceName, requests, limits corev1.ResourceList) {
	most := l.Max[name]
	request, requested := requests[name]
	limit, limited := limits[name]
	switch {
	case !limited:
		c.add("maximum %s usage per %s is %s.  No limit is specified", name, l.Type, most.String())
	case limit.Cmp(most) > 0:
		c.add("maximum %s usage per %s is %s, but limit is %s", name, l.Type, most.String(), limit.String())
	case requested && request.Cmp(most) > 0:
		c.add("maximum %s usage per %s is %s, but request is %s", name, l.Type, most.String(), request.String())
	}
}

func (c *limitCheck) ratio(l *corev1.LimitRangeItem, name corev1.ResourceName, requests, limits corev1.ResourceList) {
	most := l.MaxLimitRequestRatio[name]
	request, limit := requests[name], limits[name]
	switch {
	case request.IsZero():
		c.add("%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name, l.Type, most.String())
	case limit.IsZero():
		c.add("%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", name, l.Type, most.String())
	default:
		if ratio := limit.AsApproximateFloat64() / request.AsApproximateFloat64(); ratio > most.AsApproximateFloat64() {
			c.add("%s max limit to request ratio per %s is %s, but provided ratio is %f", name, l.Type, most.String(), ratio)
		}
	}
}
