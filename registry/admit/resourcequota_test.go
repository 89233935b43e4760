package admit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/admit"
	"gantry/registry/quota"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// resources makes a list of names and quantities, in turn.
func resources(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// limit creates a quota in the namespace default and its counter, in which everything is limited and nothing used.
func limit(t *testing.T, r *registry.Registry, name string, spec corev1.ResourceQuotaSpec) {
	t.Helper()
	ctx := registrytest.Context(t)
	it := registrytest.Must(t)(r.Create(ctx, core.ResourceQuota, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: spec}, registry.WriteOptions{}))
	counter := quota.Counter{UID: it.Object().GetUID(), Hard: spec.Hard, Used: corev1.ResourceList{}}
	for resourceName := range spec.Hard {
		counter.Used[resourceName] = resource.Quantity{Format: resource.DecimalSI}
	}
	putCounter(t, r, name, &counter)
	if err := r.Observed(ctx, core.ResourceQuota, it.Revision); err != nil {
		t.Fatal(err)
	}
}

func putCounter(t *testing.T, r *registry.Registry, name string, c *quota.Counter) {
	t.Helper()
	ctx := registrytest.Context(t)
	kv, _, err := r.RuleKey(ctx, counterKey(t, name))
	if err != nil {
		t.Fatal(err)
	}
	value, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReplaceRuleKey(ctx, kv, value); err != nil {
		t.Fatal(err)
	}
}

func counterKey(t *testing.T, name string) admit.Key {
	t.Helper()
	key, err := admit.QuotaKey("default", name)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// used is what a quota's counter says: "pods=1", sorted, without what is not used; "-" where there is none.
func used(t *testing.T, r *registry.Registry, name string) string {
	t.Helper()
	ctx := registrytest.Context(t)
	kv, _, err := r.RuleKey(ctx, counterKey(t, name))
	if err != nil {
		t.Fatal(err)
	}
	it, err := r.Get(ctx, core.ResourceQuota, "default", name, "")
	if kv.Revision == 0 || err != nil {
		return "-"
	}
	c := quota.Decode(kv.Value, it.Object().GetUID())
	var names []corev1.ResourceName
	for _, n := range quota.Names(core.Pod, c.Used) {
		if q := c.Used[n]; !q.IsZero() {
			names = append(names, n)
		}
	}
	for _, k := range []*schema.Kind{core.ConfigMap, core.Service, core.PersistentVolumeClaim, core.ResourceQuota} {
		for _, n := range quota.Names(k, c.Used) {
			if q := c.Used[n]; !q.IsZero() {
				names = append(names, n)
			}
		}
	}
	return quota.Text(c.Used, names)
}

func quotaPod(name, cpu string, change func(*corev1.Pod)) *corev1.Pod {
	p := registrytest.Pod(name)
	if cpu != "" {
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: resources("cpu", cpu), Limits: resources("cpu", cpu)}
	}
	if change != nil {
		change(p)
	}
	return p
}

func hard(pairs ...string) corev1.ResourceQuotaSpec {
	return corev1.ResourceQuotaSpec{Hard: resources(pairs...)}
}

// quotaRegistry is a registry with the namespace default and its service account.
func quotaRegistry(t *testing.T) *registry.Registry {
	t.Helper()
	r := registrytest.On(t, store.NewFake())
	registrytest.Namespace(t, r, "default")
	return r
}

func TestQuotaOfPods(t *testing.T) {
	r := quotaRegistry(t)
	ctx := registrytest.Context(t)
	must := registrytest.Must(t)
	limit(t, r, "compute", hard("cpu", "1", "limits.cpu", "2", "pods", "3"))
	limit(t, r, "objects", hard("count/pods", "2"))
	create := func(p *corev1.Pod, o registry.WriteOptions) error {
		_, err := r.Create(ctx, core.Pod, p, o)
		return err
	}
	check := func(what, compute, objects string) {
		t.Helper()
		if a, b := used(t, r, "compute"), used(t, r, "objects"); a != compute || b != objects {
			t.Errorf("%s: used %q and %q, want %q and %q", what, a, b, compute, objects)
		}
	}
	registrytest.WantError(t, create(quotaPod("none", "", nil), registry.WriteOptions{}), registry.Forbidden,
		`pods "none" forbidden: failed quota: compute: must specify cpu for: c; limits.cpu for: c`)
	registrytest.WantError(t, create(quotaPod("big", "1500m", nil), registry.WriteOptions{}), registry.Forbidden,
		`pods "big" forbidden: exceeded quota: compute, requested: cpu=1500m, used: cpu=0, limited: cpu=1`)
	if err := create(quotaPod("dry", "600m", nil), registry.WriteOptions{DryRun: true}); err != nil {
		t.Error(err)
	}
	check("after refusals and a dry run", "", "")
	must(r.Create(ctx, core.Pod, quotaPod("a", "600m", nil), registry.WriteOptions{}))
	check("after one pod", "cpu=600m,limits.cpu=600m,pods=1", "count/pods=1")
	registrytest.WantError(t, create(quotaPod("b", "500m", nil), registry.WriteOptions{DryRun: true}), registry.Forbidden,
		`pods "b" forbidden: exceeded quota: compute, requested: cpu=500m, used: cpu=600m, limited: cpu=1`)
	must(r.Create(ctx, core.Pod, quotaPod("b", "400m", nil), registry.WriteOptions{}))
	registrytest.WantError(t, create(quotaPod("c", "0", nil), registry.WriteOptions{}), registry.Forbidden,
		`pods "c" forbidden: exceeded quota: objects, requested: count/pods=1, used: count/pods=2, limited: count/pods=2`)

	// Resizing is charged, and gives back.
	resize := func(cpu string) error {
		_, err := r.Modify(ctx, core.Pod, "default", "a", func(o schema.Object) (schema.Object, error) {
			o.(*corev1.Pod).Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: resources("cpu", cpu), Limits: resources("cpu", cpu)}
			return o, nil
		}, registry.WriteOptions{Subresource: "resize"})
		return err
	}
	registrytest.WantError(t, resize("700m"), registry.Forbidden, `pods "a" forbidden: exceeded quota: compute, requested: cpu=100m, used: cpu=1, limited: cpu=1`)
	if err := resize("100m"); err != nil {
		t.Error(err)
	}
	check("after a resize", "cpu=500m,limits.cpu=500m,pods=2", "count/pods=2")

	for _, name := range []string{"a", "b"} {
		if _, gone, err := r.Delete(ctx, core.Pod, "default", name, registry.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil || !gone {
			t.Error(gone, err)
		}
	}
	check("after the deletions", "", "")
	if _, _, err := r.Delete(ctx, core.ResourceQuota, "default", "compute", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	check("after the deletion of a quota", "-", "")
	if kv, _, err := r.RuleKey(ctx, counterKey(t, "compute")); err != nil || kv.Revision != 0 {
		t.Errorf("the counter of a deleted quota stays: %s, %v", kv.Value, err)
	}
	must(r.Create(ctx, core.Pod, quotaPod("c", "", nil), registry.WriteOptions{}))
}

func TestQuotaOfScopes(t *testing.T) {
	r := quotaRegistry(t)
	ctx := registrytest.Context(t)
	must := registrytest.Must(t)
	scoped := func(name string, scope corev1.ResourceQuotaScope) {
		limit(t, r, name, corev1.ResourceQuotaSpec{Hard: resources("pods", "1"), Scopes: []corev1.ResourceQuotaScope{scope}})
	}
	scoped("deadline", corev1.ResourceQuotaScopeTerminating)
	scoped("forever", corev1.ResourceQuotaScopeNotTerminating)
	scoped("besteffort", corev1.ResourceQuotaScopeBestEffort)
	counts := func() string {
		return fmt.Sprintf("%s|%s|%s", used(t, r, "deadline"), used(t, r, "forever"), used(t, r, "besteffort"))
	}
	must(r.Create(ctx, core.Pod, quotaPod("a", "1", nil), registry.WriteOptions{}))
	if got := counts(); got != "|pods=1|" {
		t.Errorf("used %s", got)
	}
	must(r.Create(ctx, core.Pod, quotaPod("b", "", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64); *p.Spec.ActiveDeadlineSeconds = 60 }), registry.WriteOptions{}))
	if got := counts(); got != "pods=1|pods=1|pods=1" {
		t.Errorf("used %s", got)
	}
	// A deadline moves the pod from one quota to another.
	setDeadline := func(o schema.Object) (schema.Object, error) {
		n := int64(30)
		o.(*corev1.Pod).Spec.ActiveDeadlineSeconds = &n
		return o, nil
	}
	_, err := r.Modify(ctx, core.Pod, "default", "a", setDeadline, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Forbidden, `pods "a" forbidden: exceeded quota: deadline, requested: pods=1, used: pods=1, limited: pods=1`)
	if _, _, err := r.Delete(ctx, core.Pod, "default", "b", registry.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	must(r.Modify(ctx, core.Pod, "default", "a", setDeadline, registry.WriteOptions{}))
	if got := counts(); got != "pods=1||" {
		t.Errorf("used %s", got)
	}
}

func TestQuotaOfServicesClaimsAndQuotas(t *testing.T) {
	r := quotaRegistry(t)
	ctx := registrytest.Context(t)
	must := registrytest.Must(t)
	limit(t, r, "q", hard("services", "2", "services.nodeports", "1", "requests.storage", "2Gi", "gold.storageclass.storage.k8s.io/requests.storage", "1Gi",
		"persistentvolumeclaims", "5", "resourcequotas", "2", "count/configmaps", "1"))
	nodePorts := func(n int) *corev1.Service {
		svc := registrytest.Service("s")
		svc.Spec.Type, svc.Spec.Ports = corev1.ServiceTypeNodePort, nil
		for i := range n {
			svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("p", i), Port: int32(80 + i)})
		}
		return svc
	}
	_, err := r.Create(ctx, core.Service, nodePorts(2), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Forbidden, `services "s" forbidden: exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1`)
	must(r.Create(ctx, core.Service, nodePorts(1), registry.WriteOptions{}))
	registrytest.Modify(t, r, "default", "s", "", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP; s.Spec.Ports[0].NodePort = 0 })
	if got := used(t, r, "q"); got != "services=1" {
		t.Errorf("used %s after the Service has no node port any more", got)
	}

	class := "gold"
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class,
		Resources: corev1.VolumeResourceRequirements{Requests: resources("storage", "1500Mi")},
	}}
	_, err = r.Create(ctx, core.PersistentVolumeClaim, claim.DeepCopy(), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Forbidden, `persistentvolumeclaims "c" forbidden: exceeded quota: q, requested: gold.storageclass.storage.k8s.io/requests.storage=1500Mi, `+
		`used: gold.storageclass.storage.k8s.io/requests.storage=0, limited: gold.storageclass.storage.k8s.io/requests.storage=1Gi`)
	claim.Spec.Resources.Requests = resources("storage", "1Gi")
	must(r.Create(ctx, core.PersistentVolumeClaim, claim, registry.WriteOptions{}))
	must(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("one"), registry.WriteOptions{}))
	_, err = r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("two"), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Forbidden, `configmaps "two" forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1`)

	limit(t, r, "second", hard("resourcequotas", "9"))
	if got, want := used(t, r, "q"), "services=1"; !strings.Contains(got, want) || !strings.Contains(got, "resourcequotas=1") {
		t.Errorf("used %s", got)
	}
}

// TestQuotaBeginsCounting checks that a write between the beginning of a count and its end is recorded, and that one without a counter is
// not stored once there is one.
func TestQuotaBeginsCounting(t *testing.T) {
	r := quotaRegistry(t)
	ctx := registrytest.Context(t)
	must := registrytest.Must(t)
	it := must(r.Create(ctx, core.ResourceQuota, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "q"}, Spec: hard("count/configmaps", "1")}, registry.WriteOptions{}))
	must(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a"), registry.WriteOptions{}))
	if got := used(t, r, "q"); got != "-" {
		t.Errorf("a write has made a counter: %s", got)
	}
	putCounter(t, r, "q", &quota.Counter{UID: it.Object().GetUID(), Counting: resources("count/configmaps", "0")})
	must(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("b"), registry.WriteOptions{}))
	for _, name := range []string{"a", "b"} {
		if _, _, err := r.Delete(ctx, core.ConfigMap, "default", name, registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	kv, _, err := r.RuleKey(ctx, counterKey(t, "q"))
	if err != nil {
		t.Fatal(err)
	}
	if c := quota.Decode(kv.Value, it.Object().GetUID()); c == nil || quota.Text(c.Counting, []corev1.ResourceName{"count/configmaps"}) != "count/configmaps=-1" {
		t.Errorf("the counter is %s, want one less than at its beginning", kv.Value)
	}
	putCounter(t, r, "q", &quota.Counter{UID: "another", Used: resources("count/configmaps", "1")})
	must(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("c"), registry.WriteOptions{}))
}

// TestQuotaIsNeverExceeded checks that what is stored fits two quotas, whatever two processes create and delete.
func TestQuotaIsNeverExceeded(t *testing.T) {
	const writers, each, most = 16, 10, 5
	onEachStore(t, func(t *testing.T, etcd store.Store) {
		processes := [2]*registry.Registry{registrytest.On(t, etcd), registrytest.On(t, etcd)}
		registrytest.Namespace(t, processes[0], "default")
		limit(t, processes[0], "compute", hard("cpu", fmt.Sprint(most)))
		limit(t, processes[0], "objects", hard("count/pods", fmt.Sprint(most)))
		ctx := registrytest.Context(t)
		for _, r := range processes {
			if err := registrytest.WaitFor(ctx, func() bool {
				l, err := r.List(ctx, core.ResourceQuota, "default", registry.ListOptions{ResourceVersion: "0"})
				return err == nil && len(l.Items) == 2
			}); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for w := range writers {
			r := processes[w%2]
			wg.Go(func() {
				for i := range each {
					name := fmt.Sprintf("p%d-%d", w, i)
					_, err := r.Create(ctx, core.Pod, quotaPod(name, "1", nil), registry.WriteOptions{})
					switch {
					case err == nil:
						if _, gone, err := r.Delete(ctx, core.Pod, "default", name, registry.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil || !gone {
							t.Errorf("deleting %s: %v", name, err)
						}
					case !errors.Is(err, registry.Forbidden) || !strings.Contains(err.Error(), "exceeded quota: "):
						t.Errorf("creating %s: %v", name, err)
					}
				}
			})
		}
		wg.Wait()
		last, err := etcd.Revision(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n := mostPods(t, etcd, last); n > most {
			t.Errorf("there were %d pods at once, %d are allowed", n, most)
		}
		if a, b := used(t, processes[0], "compute"), used(t, processes[0], "objects"); a+b != "" {
			t.Errorf("%s%s are still counted", a, b)
		}
	})
}

// mostPods replays the store's changes and returns how many pods there were at most.
func mostPods(t *testing.T, etcd store.Store, last int64) (most int) {
	t.Helper()
	ctx, cancel := context.WithCancel(registrytest.Context(t))
	defer cancel()
	there := map[string]bool{}
	for batch := range etcd.Watch(ctx, "/registry/pods/", "/registry/pods0", 1, false) {
		if batch.Err != nil {
			t.Fatal(batch.Err)
		}
		for _, e := range batch.Events {
			if e.Delete {
				delete(there, e.KV.Key)
			} else {
				there[e.KV.Key] = true
			}
			most = max(most, len(there))
		}
		if batch.Revision >= last {
			return most
		}
		if err := etcd.Progress(ctx, "/registry/pods/"); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("the watch ended before revision %d", last)
	return 0
}
