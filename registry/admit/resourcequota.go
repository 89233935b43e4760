package admit

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"gantry/registry/quota"
	"gantry/schema"
)

// ResourceQuota is the rule's name, below which its keys are.
const ResourceQuota = "ResourceQuota"

// QuotaKey is the key of a quota's counter.
func QuotaKey(namespace, name string) (Key, error) { return NewKey(ResourceQuota, namespace, name) }

// wantsQuota: what is created and deleted, and updates of objects that use more than their count. What an object uses less by a change of its
// status is left to the controller resourcequota.
func wantsQuota(o Operation, k *schema.Kind, subresource string) bool {
	if !quota.Tracks(k) {
		return false
	}
	switch o {
	case Create, Delete:
		return subresource == ""
	case Update:
		switch k.Group + "/" + k.Plural {
		case "/pods":
			return subresource == "" || subresource == "resize"
		case "/services", "/persistentvolumeclaims", resourcev1.GroupName + "/resourceclaims":
			return subresource == ""
		}
	}
	return false
}

// countUsage refuses what exceeds a quota of the namespace, and counts what the write changes in the quotas' counters, in its transaction.
func countUsage(ctx context.Context, read Reader, q *Request) error {
	c := quotaCheck{read: read, request: q, now: time.Now()}
	switch {
	case q.Operation == Create:
		c.current, c.checks = q.Object, true
	case q.Removes:
		c.old = q.Old
	case q.Operation == Update:
		c.old, c.current, c.checks = q.Old, q.Object, c.isCharged()
	default:
		return nil // marked for deletion
	}
	list, err := read.List(ctx, "", "resourcequotas", q.Namespace)
	if err != nil {
		return fmt.Errorf("listing quotas of namespace %s: %w", q.Namespace, err)
	}
	for _, obj := range list {
		if rq, ok := obj.(*corev1.ResourceQuota); ok {
			if err := c.count(ctx, rq); err != nil {
				return err
			}
		}
	}
	return c.removeCounter(ctx)
}

// quotaCheck counts one write.
type quotaCheck struct {
	read    Reader
	request *Request
	now     time.Time
	// old is what the write removes, current what it stores; nil: nothing.
	old, current schema.Object
	// checks tells that current must say what it needs.
	checks bool
}

// isCharged tells whether an update is checked as a creation is: a pod's resources are changed, or its scope.
func (c *quotaCheck) isCharged() bool {
	old, ok := c.request.Old.(*corev1.Pod)
	if !ok {
		return true
	}
	current, ok := c.request.Object.(*corev1.Pod)
	return ok && (c.request.Subresource == "resize" || quota.IsTerminating(old) != quota.IsTerminating(current))
}

// count counts the write in the counter of one quota. What is counted and limited is read there and not in the quota: the counter is
// compared in the write's transaction.
func (c *quotaCheck) count(ctx context.Context, rq *corev1.ResourceQuota) error {
	q := c.request
	was, is := c.old != nil && quota.Matches(&rq.Spec, c.old), c.current != nil && quota.Matches(&rq.Spec, c.current)
	if !was && !is {
		return nil
	}
	key, err := QuotaKey(rq.Namespace, rq.Name)
	if err != nil {
		return err
	}
	kv, err := c.read.Get(ctx, key)
	if err != nil {
		return err
	}
	var names []corev1.ResourceName
	counter := quota.Decode(kv.Value, rq.UID)
	if counter != nil {
		names = counter.Names(q.Kind)
	}
	if len(names) == 0 {
		if len(quota.Names(q.Kind, rq.Spec.Hard)) == 0 {
			return nil
		}
		return q.Expect(kv) // where counting begins meanwhile, this write is counted
	}
	if is && c.checks {
		if err := c.checkSpecified(rq, counter, names); err != nil {
			return err
		}
	}
	var before, after corev1.ResourceList
	if was {
		before = quota.Usage(q.Kind, c.old, c.now, c.extendedResource(ctx))
	}
	if is {
		after = quota.Usage(q.Kind, c.current, c.now, c.extendedResource(ctx))
	}
	delta := quota.Delta(before, after, names)
	if over := counter.Exceeded(delta); len(over) > 0 {
		return denied("exceeded quota: %s, requested: %s, used: %s, limited: %s",
			rq.Name, quota.Text(delta, over), quota.Text(counter.Used, over), quota.Text(counter.Hard, over))
	}
	if !counter.Add(delta) {
		return nil
	}
	value, err := counter.Encode()
	if err != nil {
		return fmt.Errorf("counting in quota %s: %w", rq.Name, err)
	}
	return q.Put(kv, value)
}

// checkSpecified refuses a pod that does not say what a quota limits.
func (c *quotaCheck) checkSpecified(rq *corev1.ResourceQuota, counter *quota.Counter, names []corev1.ResourceName) error {
	pod, ok := c.current.(*corev1.Pod)
	if !ok {
		return nil
	}
	var limited []corev1.ResourceName
	for _, name := range names {
		if _, ok := counter.Used[name]; ok {
			limited = append(limited, name)
		}
	}
	if text := quota.Unspecified(pod, limited); text != "" {
		return denied("failed quota: %s: %s", rq.Name, text)
	}
	return nil
}

// extendedResource reads the extended resource of a device class.
func (c *quotaCheck) extendedResource(ctx context.Context) quota.ExtendedResource {
	return func(class string) string {
		found, err := c.read.Find(ctx, resourcev1.GroupName, "deviceclasses", "", class)
		if dc, ok := found.Object.(*resourcev1.DeviceClass); err == nil && ok && dc.Spec.ExtendedResourceName != nil {
			return *dc.Spec.ExtendedResourceName
		}
		return ""
	}
}

// removeCounter removes the counter of a quota with it.
func (c *quotaCheck) removeCounter(ctx context.Context) error {
	q := c.request
	if !q.Removes || q.Kind.Group != "" || q.Kind.Plural != "resourcequotas" {
		return nil
	}
	key, err := QuotaKey(q.Namespace, q.Name)
	if err != nil {
		return err
	}
	kv, err := c.read.Get(ctx, key)
	if err != nil || kv.Revision == 0 {
		return err
	}
	return q.Remove(kv)
}
