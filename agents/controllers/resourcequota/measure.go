package resourcequota

import (
	"context"
	"errors"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/quota"
	"gantry/schema"
)

// measurement compares the counter of one quota with what there is.
type measurement struct {
	*resourceQuota
	quota *corev1.ResourceQuota
	key   string

	kv admit.KV
	// at is a revision of the store at which kv was the counter.
	at      int64
	counter *quota.Counter
	// overdue is when the first pod that is being deleted is not counted any more.
	overdue time.Time
	again   bool
}

// countedKind is a kind and the resources of the quota that its objects use.
type countedKind struct {
	kind  *schema.Kind
	names []corev1.ResourceName
}

// maxCounterWrites bounds the attempts to change a counter that others change as well.
const maxCounterWrites = 50

// sync makes the counter right.
func (m *measurement) sync(ctx context.Context) error {
	kinds := m.kinds()
	if err := m.read(ctx); err != nil {
		return err
	}
	for attempt := 0; m.begin(kinds); attempt++ {
		err := m.write(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, registry.Conflict) || attempt == maxCounterWrites {
			return err
		}
		if err := m.read(ctx); err != nil {
			return err
		}
	}
	if len(m.counter.Counting) == 0 {
		same, err := m.isCurrent(ctx, kinds)
		if same || err != nil {
			return err
		}
	}
	used, err := m.usage(ctx, kinds, registry.ListOptions{ResourceVersion: strconv.FormatInt(m.at, 10), ResourceVersionMatch: "Exact"})
	if err != nil {
		return err
	}
	return m.mend(ctx, used)
}

// kinds are those that are served and use a resource of the quota.
func (m *measurement) kinds() (kinds []countedKind) {
	for _, k := range m.Registry.Kinds().Set().All {
		if !quota.Tracks(k) {
			continue
		}
		if names := quota.Names(k, m.quota.Spec.Hard); len(names) > 0 {
			kinds = append(kinds, countedKind{k, names})
		}
	}
	return kinds
}

// read reads the counter; a new one where there is none of this quota.
func (m *measurement) read(ctx context.Context) error {
	key, err := admit.QuotaKey(m.quota.Namespace, m.quota.Name)
	if err != nil {
		return err
	}
	if m.kv, m.at, err = m.Registry.RuleKey(ctx, key); err != nil {
		return err
	}
	if m.counter = quota.Decode(m.kv.Value, m.quota.UID); m.counter == nil {
		m.counter = &quota.Counter{UID: m.quota.UID}
	}
	return nil
}

func (m *measurement) write(ctx context.Context) error {
	value, err := m.counter.Encode()
	if err != nil {
		return err
	}
	m.kv, err = m.Registry.ReplaceRuleKey(ctx, m.kv, value)
	m.at = m.kv.Revision
	return err
}

// begin sets the limits, begins the counting of resources that the counter does not have, and drops those that the quota does not have any more.
func (m *measurement) begin(kinds []countedKind) (changed bool) {
	c, counted, hard := m.counter, map[corev1.ResourceName]bool{}, corev1.ResourceList{}
	for _, k := range kinds {
		for _, name := range k.names {
			counted[name], hard[name] = true, m.quota.Spec.Hard[name]
			_, limited := c.Used[name]
			_, counting := c.Counting[name]
			if limited || counting {
				continue
			}
			if c.Counting == nil {
				c.Counting = corev1.ResourceList{}
			}
			c.Counting[name], changed = zero, true
		}
	}
	for _, list := range []corev1.ResourceList{c.Used, c.Counting} {
		for name := range list {
			if !counted[name] {
				delete(list, name)
				changed = true
			}
		}
	}
	changed = changed || !quota.Equal(c.Hard, hard) || quota.Decode(m.kv.Value, m.quota.UID) == nil
	c.Hard = hard
	return changed
}

var zero = resource.Quantity{Format: resource.DecimalSI}

// isCurrent compares the counter with the caches. Where they differ and the counter has changed since, which of both is behind is not
// known: the quota is measured again soon.
func (m *measurement) isCurrent(ctx context.Context, kinds []countedKind) (bool, error) {
	for _, k := range kinds {
		if err := m.Registry.Observed(ctx, k.kind, m.kv.Revision); err != nil && !controller.NotServed(err) {
			return false, err
		}
	}
	used, err := m.usage(ctx, kinds, registry.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return false, err
	}
	if quota.Equal(used, m.counter.Used) {
		m.outOfDate(false)
		return true, nil
	}
	measured := m.kv.Revision
	if err := m.read(ctx); err != nil {
		return false, err
	}
	if quota.Decode(m.kv.Value, m.quota.UID) == nil {
		return false, registry.Conflict // the quota was deleted meanwhile
	}
	if m.kv.Revision != measured && len(m.counter.Counting) == 0 && m.outOfDate(true) < maxMeasured {
		m.again = true
		return true, nil
	}
	m.outOfDate(false)
	return false, nil
}

// outOfDate returns how many measurements in a row were out of date.
func (m *measurement) outOfDate(is bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !is {
		delete(m.measured, m.key)
		return 0
	}
	m.measured[m.key]++
	return m.measured[m.key]
}

// usage is what objects use of the quota's resources.
func (m *measurement) usage(ctx context.Context, kinds []countedKind, o registry.ListOptions) (corev1.ResourceList, error) {
	used, now := corev1.ResourceList{}, time.Now()
	spec := &m.quota.Spec
	scoped := len(spec.Scopes) > 0 || spec.ScopeSelector != nil
	for _, k := range kinds {
		list, err := m.Registry.List(ctx, k.kind, m.quota.Namespace, o)
		if controller.NotServed(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, name := range k.names {
			if _, there := used[name]; !there {
				used[name] = zero
			}
		}
		if !scoped && quota.CountsAll(k.kind, k.names) {
			n := resource.NewQuantity(int64(len(list.Items)), resource.DecimalSI)
			add(used, k.names, func(corev1.ResourceName) resource.Quantity { return *n })
			continue
		}
		for _, it := range list.Items {
			obj := it.Object()
			if !quota.Matches(spec, obj) {
				continue
			}
			m.noteOverdue(obj, now)
			u := quota.Usage(k.kind, obj, now, m.extendedResource(ctx))
			add(used, k.names, func(name corev1.ResourceName) resource.Quantity { return u[name] })
		}
	}
	return used, nil
}

func add(used corev1.ResourceList, names []corev1.ResourceName, of func(corev1.ResourceName) resource.Quantity) {
	for _, name := range names {
		q := used[name]
		q.Add(of(name))
		used[name] = q
	}
}

// noteOverdue notes when a pod that is being deleted is not counted any more.
func (m *measurement) noteOverdue(obj schema.Object, now time.Time) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	if at := quota.Overdue(pod); at.After(now) && (m.overdue.IsZero() || at.Before(m.overdue)) {
		m.overdue = at
	}
}

// extendedResource reads the extended resource of a device class.
func (m *measurement) extendedResource(ctx context.Context) quota.ExtendedResource {
	return func(class string) string {
		dc, err := registry.For[*resourcev1.DeviceClass](m.Registry).Cached(ctx, "", class)
		if err != nil || dc.Spec.ExtendedResourceName == nil {
			return ""
		}
		return *dc.Spec.ExtendedResourceName
	}
}

// mend adds to the counter what it lacked of used, which was measured at the revision m.at. What is counted meanwhile stays counted.
func (m *measurement) mend(ctx context.Context, used corev1.ResourceList) error {
	lacks := corev1.ResourceList{}
	for name, q := range used {
		q = q.DeepCopy()
		q.Sub(m.counter.Used[name])
		q.Sub(m.counter.Counting[name])
		lacks[name] = q
	}
	for attempt := 0; ; attempt++ {
		m.add(lacks)
		err := m.write(ctx)
		if err == nil || !errors.Is(err, registry.Conflict) || attempt == maxCounterWrites {
			return err
		}
		uid := m.counter.UID
		if err := m.read(ctx); err != nil {
			return err
		}
		if m.kv.Revision == 0 || quota.Decode(m.kv.Value, uid) == nil {
			return err // the quota was deleted meanwhile
		}
	}
}

// add adds to what is counted; all resources that lacks names are limited from now on.
func (m *measurement) add(lacks corev1.ResourceList) {
	c := m.counter
	if c.Used == nil {
		c.Used = corev1.ResourceList{}
	}
	for name, q := range lacks {
		sum := c.Used[name].DeepCopy()
		sum.Add(c.Counting[name])
		sum.Add(q)
		if sum.Sign() < 0 {
			sum = zero
		}
		c.Used[name] = sum
		delete(c.Counting, name)
	}
}

// after is when the quota is to be measured again.
func (m *measurement) after(now time.Time) time.Duration {
	switch {
	case m.again:
		return controller.CoalesceDelay
	case !m.overdue.IsZero():
		return min(quotaResync, max(m.overdue.Sub(now), 0)+time.Second)
	}
	return quotaResync
}
