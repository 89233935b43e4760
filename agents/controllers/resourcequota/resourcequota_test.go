package resourcequota_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/quota"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// startQuotas runs the controller resourcequota and those that a namespace needs.
func startQuotas(t *testing.T) *controllertest.Cluster {
	c := controllertest.Start(t, func(cfg *controllers.Config) {
		cfg.Controllers = []string{"namespace", "serviceaccount", "rootca", "resourcequota", "replicaset"}
	})
	c.Ready()
	// A write that began before there was a quota is counted later than it is made.
	c.Until(func() string {
		if _, ok := controllertest.Get[*corev1.ConfigMap](c, "default", "kube-root-ca.crt"); !ok {
			return "the config map of the namespace default"
		}
		return ""
	}, core.ConfigMap)
	return c
}

// untilUsed waits until a quota of the namespace default says what is used: "pods=1/3".
func untilUsed(c *controllertest.Cluster, name, want string) {
	c.T.Helper()
	c.Until(func() string {
		q, ok := controllertest.Get[*corev1.ResourceQuota](c, "default", name)
		if !ok {
			return "quota " + name
		}
		if got := usedText(q); got != want {
			return fmt.Sprintf("%s of %s, used are %s", want, name, got)
		}
		return ""
	}, core.ResourceQuota)
}

func usedText(q *corev1.ResourceQuota) string {
	var parts []string
	for _, k := range []*schema.Kind{core.Pod, core.ConfigMap, core.Service} {
		for _, name := range quota.Names(k, q.Status.Hard) {
			used, hard := q.Status.Used[name], q.Status.Hard[name]
			if _, counted := q.Status.Used[name]; counted {
				parts = append(parts, fmt.Sprintf("%s=%s/%s", name, used.String(), hard.String()))
			}
		}
	}
	return strings.Join(parts, " ")
}

const podOfQuota = `apiVersion: v1
kind: Pod
metadata: {namespace: default, name: %s}
spec: {containers: [{name: c, image: "web:1", resources: {requests: {cpu: %s}}}]}
`

func TestQuotaFollowsPods(t *testing.T) {
	c := startQuotas(t)
	silent := func(*corev1.Pod) bool { return true } // the test writes the pods' status
	c.Broken.Store(&silent)
	c.Apply(fmt.Sprintf(podOfQuota, "before", "100m"))
	c.Apply(`apiVersion: v1
kind: ResourceQuota
metadata: {namespace: default, name: q}
spec: {hard: {cpu: "1", pods: "3", count/nothing.example.com: "1"}}
`)
	untilUsed(c, "q", "cpu=100m/1 pods=1/3")
	create := func(name, cpu string) error {
		_, err := c.Registry.Create(c.Context, core.Pod, &corev1.Pod{
			ObjectMeta: registrytest.Pod(name).ObjectMeta,
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "web:1", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}},
		}, registry.WriteOptions{})
		return err
	}
	registrytest.WantError(t, create("big", "1"), registry.Forbidden, "exceeded quota: q, requested: cpu=1, used: cpu=100m, limited: cpu=1")
	if err := create("second", "400m"); err != nil {
		t.Fatal(err)
	}
	untilUsed(c, "q", "cpu=500m/1 pods=2/3")

	// A pod that ends gives back what it used.
	registrytest.Modify(t, c.Registry, "default", "before", "status", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	untilUsed(c, "q", "cpu=400m/1 pods=1/3")

	// Another limit holds at once.
	registrytest.Modify(t, c.Registry, "default", "q", "", func(q *corev1.ResourceQuota) {
		q.Spec.Hard = corev1.ResourceList{"pods": resource.MustParse("1"), "count/pods": resource.MustParse("9")}
	})
	untilUsed(c, "q", "count/pods=2/9 pods=1/1")
	registrytest.WantError(t, create("third", "1"), registry.Forbidden, "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1")

	// Status that is edited by hand, and pods deleted with etcdctl, are put right.
	registrytest.Modify(t, c.Registry, "default", "q", "status", func(q *corev1.ResourceQuota) { q.Status.Used["pods"] = resource.MustParse("7") })
	untilUsed(c, "q", "count/pods=2/9 pods=1/1")
	if _, err := c.Store.Commit(c.Context, store.Txn{Deletes: []string{"/registry/pods/default/second"}}); err != nil {
		t.Fatal(err)
	}
	untilUsed(c, "q", "count/pods=1/9 pods=0/1")
	if err := create("third", "1"); err != nil {
		t.Error(err)
	}

	// What counters of quotas are left without their quota is removed.
	if _, err := c.Store.Commit(c.Context, store.Txn{Deletes: []string{"/registry/resourcequotas/default/q"}}); err != nil {
		t.Fatal(err)
	}
	waitForKey(t, c, "/gantry/admission/ResourceQuota/default/q", false)
	if err := create("fourth", "1"); err != nil {
		t.Error(err)
	}
}

// waitForKey waits until a key of the store exists, or does not.
func waitForKey(t *testing.T, c *controllertest.Cluster, key string, exists bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(c.Context, controllertest.Deadline)
	defer cancel()
	changes := c.Store.Watch(ctx, key, key+"\x00", 1, false)
	for {
		kv, _, err := c.Store.Get(ctx, key, 0)
		if err != nil {
			t.Fatal(err)
		}
		if (kv != nil) == exists {
			return
		}
		select {
		case _, ok := <-changes:
			if !ok {
				t.Fatalf("the watch of %s ended", key)
			}
		case <-ctx.Done():
			t.Fatalf("%s: existing %t, want %t", key, kv != nil, exists)
		}
	}
}

// TestReplicaSetBelowAQuota checks that a replica set gets as many pods as its namespace may have, and the others when there is room.
func TestReplicaSetBelowAQuota(t *testing.T) {
	c := startQuotas(t)
	c.Apply(`apiVersion: v1
kind: ResourceQuota
metadata: {namespace: default, name: q}
spec: {hard: {pods: "1"}}
`)
	untilUsed(c, "q", "pods=0/1")
	c.Apply(controllertest.ReplicaSet)
	untilUsed(c, "q", "pods=1/1")
	c.Until(func() string {
		for _, e := range c.Events("web") {
			if e == "replicaset-controller FailedCreate" {
				return ""
			}
		}
		return "an event about the pod that is refused"
	}, core.Event)
	registrytest.Modify(t, c.Registry, "default", "q", "", func(q *corev1.ResourceQuota) { q.Spec.Hard["pods"] = resource.MustParse("5") })
	untilUsed(c, "q", "pods=2/5")
}

// TestQuotaUnderLoad checks that from the revision on at which config maps are limited, the counter is their number at each revision, and none is
// created above the limit: while two processes write, the quota is changed, and the controllers are restarted.
func TestQuotaUnderLoad(t *testing.T) {
	const writers, each, limit = 16, 25, 9
	c := startQuotas(t)
	c.Apply(`apiVersion: v1
kind: ResourceQuota
metadata: {namespace: default, name: q}
spec: {hard: {configmaps: 1k}}
`)
	untilUsed(c, "q", "configmaps=1/1k") // kube-root-ca.crt
	processes := [2]*registry.Registry{c.Registry, registrytest.On(t, c.Store)}
	q, _ := controllertest.Get[*corev1.ResourceQuota](c, "default", "q")
	for _, r := range processes {
		if err := registrytest.WaitFor(c.Context, func() bool {
			_, err := r.Get(c.Context, core.ResourceQuota, "default", "q", "0")
			return err == nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		r := processes[w%2]
		wg.Go(func() {
			for i := range each {
				if i == each/5 && w == 0 {
					close(begin)
				}
				name := fmt.Sprintf("c%d-%d", w, i)
				_, err := r.Create(c.Context, core.ConfigMap, registrytest.ConfigMap(name), registry.WriteOptions{})
				switch {
				case err == nil:
					if _, _, err := r.Delete(c.Context, core.ConfigMap, "default", name, registry.DeleteOptions{}); err != nil {
						t.Errorf("deleting %s: %v", name, err)
					}
				case !errors.Is(err, registry.Forbidden) || !strings.Contains(err.Error(), "exceeded quota: q"):
					t.Errorf("creating %s: %v", name, err)
				}
			}
		})
	}
	<-begin
	registrytest.Modify(t, c.Registry, "default", "q", "", func(q *corev1.ResourceQuota) {
		q.Spec.Hard["count/configmaps"] = *resource.NewQuantity(limit, resource.DecimalSI)
	})
	c.Restart()
	c.Restart()
	wg.Wait()
	untilUsed(c, "q", fmt.Sprintf("configmaps=1/1k count/configmaps=1/%d", limit))
	replay := counterReplay{limit: limit, uid: q.UID, objects: map[string]bool{}}
	replay.run(t, c)
	if replay.compared == 0 || replay.limited == 0 {
		t.Errorf("%d revisions were compared, at %d there was a limit", replay.compared, replay.limited)
	}
}

// counterReplay holds the counter of config maps against their number, change by change.
type counterReplay struct {
	limit             int
	uid               types.UID
	objects           map[string]bool
	counter           *quota.Counter
	compared, limited int
}

func (r *counterReplay) run(t *testing.T, c *controllertest.Cluster) {
	t.Helper()
	last, err := c.Store.Revision(c.Context)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.Context, controllertest.Deadline)
	defer cancel()
	for batch := range c.Store.Watch(ctx, "/", "0", 1, false) {
		if batch.Err != nil {
			t.Fatal(batch.Err)
		}
		for events := batch.Events; len(events) > 0; {
			n := 1
			for n < len(events) && events[n].KV.ModRevision == events[0].KV.ModRevision {
				n++
			}
			if text := r.apply(events[:n]); text != "" {
				t.Fatalf("at revision %d %s", events[0].KV.ModRevision, text)
			}
			events = events[n:]
		}
		if batch.Revision >= last {
			return
		}
	}
	t.Fatalf("the watch ended before revision %d", last)
}

// apply applies the changes of one revision, and returns what is wrong then.
func (r *counterReplay) apply(events []store.Event) string {
	before, limited := len(r.objects), false
	if r.counter != nil {
		_, limited = r.counter.Used["count/configmaps"]
	}
	for _, e := range events {
		switch {
		case e.KV.Key == "/gantry/admission/ResourceQuota/default/q":
			if r.counter = quota.Decode(e.KV.Value, r.uid); r.counter == nil {
				return fmt.Sprintf("the counter is %q", e.KV.Value)
			}
		case !strings.HasPrefix(e.KV.Key, "/registry/configmaps/default/"):
		case e.Delete:
			delete(r.objects, e.KV.Key)
		default:
			r.objects[e.KV.Key] = true
		}
	}
	n := len(r.objects)
	if limited {
		r.limited++
		if n > before && n > r.limit {
			return fmt.Sprintf("object number %d is created, %d are allowed", n, r.limit)
		}
	}
	if r.counter == nil {
		return ""
	}
	for name, used := range r.counter.Used {
		if r.compared++; used.Value() != int64(n) {
			return fmt.Sprintf("there are %d objects, the counter says %s=%d", n, name, used.Value())
		}
	}
	return ""
}

// TestQuotaOfKindsThatComeLater checks that a quota for a kind that is not served yet limits it as soon as it is.
func TestQuotaOfKindsThatComeLater(t *testing.T) {
	c := startQuotas(t)
	c.Apply(`apiVersion: v1
kind: ResourceQuota
metadata: {namespace: default, name: q}
spec: {hard: {configmaps: 1k, count/widgets.example.com: "1"}}
`)
	untilUsed(c, "q", "configmaps=1/1k")
	widgets := &schema.Kind{
		Version: schema.Version{Group: "example.com", Version: "v1", Kind: "Widget", New: schema.NewUnstructured, NewList: schema.NewUnstructuredList},
		Plural:  "widgets", Singular: "widget", Namespaced: true, Prefix: "example.com/widgets",
	}
	if err := c.Registry.Kinds().Add(widgets); err != nil {
		t.Fatal(err)
	}
	create := func(name string) error {
		obj := widgets.New()
		obj.GetObjectKind().SetGroupVersionKind(widgets.GVK())
		obj.SetNamespace("default")
		obj.SetName(name)
		_, err := c.Registry.Create(c.Context, widgets, obj, registry.WriteOptions{})
		return err
	}
	untilWidgets := func(want string) {
		t.Helper()
		c.Until(func() string {
			q, _ := controllertest.Get[*corev1.ResourceQuota](c, "default", "q")
			if used := q.Status.Used["count/widgets.example.com"]; used.String() != want || len(q.Status.Used) != 2 {
				return want + " widgets"
			}
			return ""
		}, core.ResourceQuota)
	}
	untilWidgets("0")
	if err := create("a"); err != nil {
		t.Fatal(err)
	}
	registrytest.WantError(t, create("b"), registry.Forbidden, "exceeded quota: q, requested: count/widgets.example.com=1, used: count/widgets.example.com=1, limited: count/widgets.example.com=1")
	untilWidgets("1")
	if _, _, err := c.Registry.Delete(c.Context, widgets, "default", "a", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := create("b"); err != nil {
		t.Errorf("a deletion does not give back at once: %v", err)
	}
}
