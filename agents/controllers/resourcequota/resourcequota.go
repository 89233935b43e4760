// Package resourcequota is the controller resourcequota: it makes and mends the counters of quotas, and writes their status.
package resourcequota

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/quota"
	"gantry/schema"
	"gantry/schema/core"
)

const (
	// quotaResync is how often a quota is measured without a change.
	quotaResync = 5 * time.Minute
	// leftoverCounters is the key of the counters whose quota is gone; other keys are "<namespace>/<name>" of a quota.
	leftoverCounters = "leftovers"
	// maxMeasured is how often in a row a quota whose counter changes meanwhile is measured by the caches only.
	maxMeasured = 10
)

// resourceQuota makes the counters of quotas, mends them where objects were written past the API, and copies them into the quotas' status.
// The counting itself is done by the rule of admission of the same name.
type resourceQuota struct {
	*controller.Env

	mu       sync.Mutex // guards all below
	quotas   map[string]map[string]*corev1.ResourceQuota
	written  map[string]corev1.ResourceQuotaStatus // the last status written, by key
	measured map[string]int                        // how often in a row a measurement was out of date, by key
}

// New measures the usage below quotas.
func New(e *controller.Env) controller.Reconciler {
	c := &resourceQuota{Env: e, quotas: map[string]map[string]*corev1.ResourceQuota{}, written: map[string]corev1.ResourceQuotaStatus{}, measured: map[string]int{}}
	return controller.Reconciler{Reconcile: c.reconcile, WatchEvery: c.watch, Run: c.EnqueueOnce(leftoverCounters)}
}

// watch watches the objects of a kind that quotas count. Quotas that count a kind that is served from now on are measured.
func (c *resourceQuota) watch(k *schema.Kind) func(old, current schema.Object) {
	if !quota.Tracks(k) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, quotas := range c.quotas {
		c.enqueueThose(quotas, k, 0)
	}
	return func(old, current schema.Object) {
		if k == core.ResourceQuota {
			c.onQuota(quotaOf(old), quotaOf(current))
		}
		c.onObject(k, old, current)
	}
}

func quotaOf(obj schema.Object) *corev1.ResourceQuota {
	q, _ := obj.(*corev1.ResourceQuota)
	return q
}

func (c *resourceQuota) enqueueThose(quotas map[string]*corev1.ResourceQuota, k *schema.Kind, after time.Duration) {
	for _, q := range quotas {
		if len(quota.Names(k, q.Spec.Hard)) > 0 {
			c.Enqueue(controller.KeyOf(q), after)
		}
	}
}

// onQuota enqueues a quota whose spec has changed, or its status in another way than this controller changes it.
func (c *resourceQuota) onQuota(old, current *corev1.ResourceQuota) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current == nil {
		delete(c.quotas[old.Namespace], old.Name)
		if len(c.quotas[old.Namespace]) == 0 {
			delete(c.quotas, old.Namespace)
		}
		key := controller.KeyOf(old)
		delete(c.written, key)
		delete(c.measured, key)
		c.Enqueue(key, 0)
		return
	}
	if c.quotas[current.Namespace] == nil {
		c.quotas[current.Namespace] = map[string]*corev1.ResourceQuota{}
	}
	c.quotas[current.Namespace][current.Name] = current
	key := controller.KeyOf(current)
	written, known := c.written[key]
	if old == nil || old.UID != current.UID || !known || !equality.Semantic.DeepEqual(old.Spec, current.Spec) || !equality.Semantic.DeepEqual(written, current.Status) {
		c.Enqueue(key, 0)
	}
}

// onObject enqueues the quotas that count an object whose usage may have changed.
func (c *resourceQuota) onObject(k *schema.Kind, old, current schema.Object) {
	ns := ""
	if current != nil {
		ns = current.GetNamespace()
	} else {
		ns = old.GetNamespace()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	quotas := c.quotas[ns]
	if len(quotas) == 0 || !changesUsage(k, old, current) {
		return
	}
	c.enqueueThose(quotas, k, controller.CoalesceDelay)
}

// changesUsage tells whether a change of an object may change what it uses, or in which scopes it is.
func changesUsage(k *schema.Kind, old, current schema.Object) bool {
	if old == nil || current == nil || old.GetUID() != current.GetUID() {
		return true
	}
	switch is := current.(type) {
	case *corev1.Pod:
		was, now, none := old.(*corev1.Pod), time.Now(), func(string) string { return "" }
		return quota.IsTerminating(was) != quota.IsTerminating(is) || !quota.Overdue(was).Equal(quota.Overdue(is)) ||
			!quota.Equal(quota.Usage(k, was, now, none), quota.Usage(k, is, now, none))
	case *corev1.PersistentVolumeClaim:
		return true
	case *corev1.Service:
		return !equality.Semantic.DeepEqual(old.(*corev1.Service).Spec, is.Spec)
	}
	return false
}

func (c *resourceQuota) reconcile(ctx context.Context, key string) (time.Duration, error) {
	if key == leftoverCounters {
		return quotaResync, c.enqueueLeftovers(ctx)
	}
	ns, name, _ := strings.Cut(key, "/")
	quotas := registry.For[*corev1.ResourceQuota](c.Registry)
	q, err := quotas.Cached(ctx, ns, name)
	if errors.Is(err, registry.NotFound) {
		q, err = quotas.Get(ctx, ns, name)
	}
	if errors.Is(err, registry.NotFound) {
		return 0, c.removeCounter(ctx, ns, name)
	}
	if err != nil {
		return 0, err
	}
	m := measurement{resourceQuota: c, quota: q, key: key}
	if err := m.sync(ctx); err != nil {
		return 0, err
	}
	return m.after(time.Now()), c.Execute(ctx, c.plan(key, q, m.counter))
}

// enqueueLeftovers enqueues the quotas of all counters.
func (c *resourceQuota) enqueueLeftovers(ctx context.Context) error {
	paths, err := c.Registry.RuleKeys(ctx, admit.ResourceQuota)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if ns, name, ok := strings.Cut(path, "/"); ok && !strings.Contains(name, "/") {
			c.mu.Lock()
			known := c.quotas[ns][name] != nil
			c.mu.Unlock()
			if !known {
				c.Enqueue(path, 0)
			}
		}
	}
	return nil
}

// removeCounter removes the counter of a quota that does not exist.
func (c *resourceQuota) removeCounter(ctx context.Context, ns, name string) error {
	key, err := admit.QuotaKey(ns, name)
	if err != nil {
		return nil // no quota has such a name
	}
	kv, _, err := c.Registry.RuleKey(ctx, key)
	if err != nil || kv.Revision == 0 {
		return err
	}
	_, err = c.Registry.ReplaceRuleKey(ctx, kv, nil)
	return err
}

// plan writes the status where it is not what the counter says.
func (c *resourceQuota) plan(key string, q *corev1.ResourceQuota, counter *quota.Counter) []controller.Action {
	want := quotaStatus(q, counter)
	c.mu.Lock()
	c.written[key] = want
	c.mu.Unlock()
	if quota.Equal(want.Hard, q.Status.Hard) && quota.Equal(want.Used, q.Status.Used) && q.Status.Hard != nil && q.Status.Used != nil {
		return nil
	}
	changed := q.DeepCopy()
	changed.Status = want
	return []controller.Action{{
		Do: controller.UpdateStatus, Kind: core.ResourceQuota, Object: changed, Quiet: true,
		Reason: fmt.Sprintf("%d of %d resources are counted", len(want.Used), len(want.Hard)),
	}}
}

// quotaStatus is the status of a quota with a counter. A resource that nothing served can use is in hard only.
func quotaStatus(q *corev1.ResourceQuota, counter *quota.Counter) corev1.ResourceQuotaStatus {
	status := corev1.ResourceQuotaStatus{Hard: corev1.ResourceList{}, Used: corev1.ResourceList{}}
	for name, hard := range q.Spec.Hard {
		status.Hard[name] = hard.DeepCopy()
		if used, counted := counter.Used[name]; counted {
			status.Used[name] = used.DeepCopy()
		}
	}
	return status
}
