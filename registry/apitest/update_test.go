package apitest_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/coordination"
	"gantry/schema/core"
)

const stale = "the object has been modified; please apply your changes to the latest version and try again"

func TestUpdateGuards(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	first := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	second := registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{}))
	with := func(rv, uid string) *corev1.ConfigMap {
		cm := registrytest.ConfigMap("a", "n", "3")
		cm.ResourceVersion, cm.UID = rv, types.UID(uid)
		return cm
	}
	for _, c := range []struct {
		name string
		in   *corev1.ConfigMap
		o    registry.WriteOptions
		kind registry.ErrorKind
		text string
	}{
		{"a stale resourceVersion", with(registrytest.ResourceVersion(t, first), ""), registry.WriteOptions{}, registry.Conflict, stale},
		{"a resourceVersion of the future", with("99999", ""), registry.WriteOptions{}, registry.Conflict, stale},
		{"a stale one in the options", with("", ""), registry.WriteOptions{ResourceVersion: registrytest.ResourceVersion(t, first)}, registry.Conflict, stale},
		{"two that differ", with(registrytest.ResourceVersion(t, second), ""), registry.WriteOptions{ResourceVersion: registrytest.ResourceVersion(t, first)}, registry.Conflict, stale},
		{"no number", with("x", ""), registry.WriteOptions{}, registry.BadRequest, "resourceVersion"},
		{"another uid", with("", "other"), registry.WriteOptions{}, registry.Conflict, "Precondition failed: UID in precondition: other, UID in object meta: " + second.UID()},
		{"another uid in the options", with("", ""), registry.WriteOptions{UID: "other"}, registry.Conflict, "Precondition failed"},
		{"an absent name", registrytest.ConfigMap("zzz"), registry.WriteOptions{}, registry.NotFound, `"zzz" not found`},
		{"no such subresource", with("", ""), registry.WriteOptions{Subresource: "status"}, registry.NotFound, "could not find the requested resource"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Update(ctx, core.ConfigMap, c.in, c.o)
			registrytest.WantError(t, err, c.kind, c.text)
		})
	}
	third := registrytest.Must(t)(r.Update(ctx, core.ConfigMap, with(registrytest.ResourceVersion(t, second), second.UID()), registry.WriteOptions{}))
	if third.Object().GetUID() != first.Object().GetUID() || third.Object().GetCreationTimestamp() != first.Object().GetCreationTimestamp() {
		t.Errorf("uid or creationTimestamp changed: %s", third.JSON)
	}
}

func TestUpdateMustSayItsRevision(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: "n1"}}
	registrytest.Must(t)(r.Create(ctx, coordination.Lease, lease, registry.WriteOptions{}))
	_, err := r.Update(ctx, coordination.Lease, lease, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "metadata.resourceVersion: Invalid value: 0: must be specified for an update")
	_, err = r.Update(ctx, coordination.Lease, lease, registry.WriteOptions{ResourceVersion: "0"})
	registrytest.WantError(t, err, registry.Invalid, "must be specified for an update")
}

func TestStaleUpdateMakesNoRoundTrip(t *testing.T) {
	f := &interceptedStore{Store: store.NewFake()}
	r := registrytest.On(t, f)
	registrytest.Namespace(t, r, "default")
	ctx := registrytest.Context(t)
	first := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{}))
	f.commit = func(context.Context, store.Store, store.Txn) (store.TxnResult, error) {
		t.Error("etcd was asked")
		return store.TxnResult{}, errLost
	}
	cm := registrytest.ConfigMap("a", "n", "3")
	cm.ResourceVersion = registrytest.ResourceVersion(t, first)
	_, err := r.Update(ctx, core.ConfigMap, cm, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, stale)
}

func TestEqualWritesNothing(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	first := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	for name, f := range map[string]func() (*registry.Item, error){
		"update": func() (*registry.Item, error) {
			return r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{})
		},
		"modify": func() (*registry.Item, error) {
			return r.Modify(ctx, core.ConfigMap, "default", "a", registrytest.Unchanged, registry.WriteOptions{})
		},
	} {
		if it := registrytest.Must(t)(f()); it.Revision != first.Revision {
			t.Errorf("%s: revision %d, was %d", name, it.Revision, first.Revision)
		}
	}
}

// A second registry has nothing but the store in common: the first one's cache may be behind.
func TestOldStateDecidesNothing(t *testing.T) {
	r, etcd := registrytest.New(t)
	other := registry.New(registry.Config{Store: etcd, Kinds: r.Kinds()}) // not running: always asks the store
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	registrytest.Must(t)(other.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{}))
	it := registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	value, rev := storetest.Value(t, etcd, "/registry/configmaps/default/a")
	if !strings.Contains(value, `"n":"1"`) || it.Revision != rev {
		t.Errorf("stored %s at %d, answered %d", value, rev, it.Revision)
	}
	registrytest.Must(t)(other.Create(ctx, core.ConfigMap, registrytest.ConfigMap("b"), registry.WriteOptions{}))
	registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("b", "x", "y"), registry.WriteOptions{}))
}

func TestCreateOnUpdate(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	if !coordination.Lease.CreateOnUpdate {
		t.Fatal("leases are created by an update")
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: "n1"}}
	it := registrytest.Must(t)(r.Update(ctx, coordination.Lease, lease, registry.WriteOptions{}))
	if it.Object().GetUID() == "" {
		t.Errorf("created %s", it.JSON)
	}
	lease.Name, lease.UID = "n2", "gone"
	_, err := r.Update(ctx, coordination.Lease, lease, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, "uid mismatch: the provided object specified uid gone, and no existing object was found")
}

func TestStatusAndSpecAreApart(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	registrytest.Must(t)(r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}))
	it := registrytest.Must(t)(r.Modify(ctx, core.Pod, "default", "p", func(o schema.Object) (schema.Object, error) {
		p := o.(*corev1.Pod)
		p.Status.Phase = corev1.PodRunning
		p.Spec.Containers[0].Image = "other"
		return p, nil
	}, registry.WriteOptions{Subresource: "status"}))
	if p := it.Object().(*corev1.Pod); p.Status.Phase != corev1.PodRunning || p.Spec.Containers[0].Image != "i" {
		t.Errorf("status write: %s", it.JSON)
	}
	it = registrytest.Must(t)(r.Modify(ctx, core.Pod, "default", "p", func(o schema.Object) (schema.Object, error) {
		p := o.(*corev1.Pod)
		p.Status.Phase = corev1.PodFailed
		p.Labels = map[string]string{"a": "b"}
		return p, nil
	}, registry.WriteOptions{}))
	if p := it.Object().(*corev1.Pod); p.Status.Phase != corev1.PodRunning || p.Labels["a"] != "b" {
		t.Errorf("main write: %s", it.JSON)
	}
}

func TestModifyHonoursWhatChangeReturns(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	first := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{}))
	_, err := r.Modify(ctx, core.ConfigMap, "default", "a", func(o schema.Object) (schema.Object, error) {
		o.SetResourceVersion(registrytest.ResourceVersion(t, first)) // as a patch that names a resourceVersion does
		return o, nil
	}, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, stale)
	calls := 0
	_, err = r.Modify(ctx, core.ConfigMap, "default", "a", func(o schema.Object) (schema.Object, error) {
		calls++
		return o, nil
	}, registry.WriteOptions{ResourceVersion: registrytest.ResourceVersion(t, first)})
	registrytest.WantError(t, err, registry.Conflict, stale)
	if calls != 0 {
		t.Errorf("change was called %d times for a revision that is gone", calls)
	}
}

func TestHundredIncrementers(t *testing.T) {
	hundredIncrementers(t, store.NewFake(), 20)
}

// hundredIncrementers lets 100 clients of 4 processes add to one number at once.
func hundredIncrementers(t *testing.T, etcd store.Store, each int) {
	t.Helper()
	var rs []*registry.Registry
	for range 4 {
		rs = append(rs, registrytest.On(t, etcd))
	}
	registrytest.Namespace(t, rs[0], "default")
	ctx := registrytest.Context(t)
	registrytest.Must(t)(rs[0].Create(ctx, core.ConfigMap, registrytest.ConfigMap("sum", "n", "0"), registry.WriteOptions{}))
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			for range each {
				_, err := rs[i%len(rs)].Modify(ctx, core.ConfigMap, "default", "sum", increment, registry.WriteOptions{})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	it := registrytest.Must(t)(rs[0].Get(ctx, core.ConfigMap, "default", "sum", ""))
	if n := it.Object().(*corev1.ConfigMap).Data["n"]; n != strconv.Itoa(100*each) {
		t.Errorf("sum %s, want %d", n, 100*each)
	}
}

func increment(o schema.Object) (schema.Object, error) {
	cm := o.(*corev1.ConfigMap)
	n, err := strconv.Atoi(cm.Data["n"])
	cm.Data["n"] = strconv.Itoa(n + 1)
	return cm, err
}

func TestUnreadableValueCanBeReplacedAndDeleted(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	storetest.Put(t, etcd, "/registry/configmaps/default/bad", "rubbish")
	_, err := r.Modify(ctx, core.ConfigMap, "default", "bad", registrytest.Unchanged, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Unreadable, "")
	_, err = r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("bad"), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Exists, "")
	registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("bad", "k", "v"), registry.WriteOptions{}))
	storetest.Put(t, etcd, "/registry/configmaps/default/bad", "rubbish")
	if _, gone, err := r.Delete(ctx, core.ConfigMap, "default", "bad", registry.DeleteOptions{}); err != nil || !gone {
		t.Errorf("gone %v, %v", gone, err)
	}
}

// TestUIDsAreTheServers: a body cannot set the uid of an object, not even where it replaces a value that cannot be read.
func TestUIDsAreTheServers(t *testing.T) {
	r, etcd := registrytest.New(t)
	ctx := registrytest.Context(t)
	const key, chosen = "/registry/configmaps/default/bad", "../../../tmp/x"
	with := func(uid string) *corev1.ConfigMap {
		cm := registrytest.ConfigMap("bad", "k", uid)
		cm.UID = types.UID(uid)
		return cm
	}
	first := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, with(chosen), registry.WriteOptions{}))
	if uid := first.UID(); len(uid) != 36 {
		t.Errorf("created with the uid %q", uid)
	}
	_, err := r.Update(ctx, core.ConfigMap, with(chosen), registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, "Precondition failed: UID in precondition: ../../../tmp/x, UID in object meta: "+first.UID())
	_, err = r.Modify(ctx, core.ConfigMap, "default", "bad", func(schema.Object) (schema.Object, error) { return with(chosen), nil }, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, "Precondition failed")

	spoilt := map[string]string{
		"rubbish":      "rubbish",
		"a good uid":   `{"metadata":{"name":"bad","namespace":"default","uid":"` + first.UID() + `"},"data":[]}`,
		"another uid":  `{"metadata":{"name":"bad","namespace":"default","uid":"` + chosen + `"}}`,
		"no uid":       `{"metadata":{"name":"bad","namespace":"default"}}`,
		"another name": `{"metadata":{"name":"else","namespace":"default"}}`,
	}
	for name, value := range spoilt {
		storetest.Put(t, etcd, key, value)
		_, err := r.Update(ctx, core.ConfigMap, with(chosen), registry.WriteOptions{})
		registrytest.WantError(t, err, registry.Conflict, "Precondition failed: UID in precondition: ../../../tmp/x, UID in object meta: "+first.UID())
		for _, uid := range []string{"", first.UID()} {
			storetest.Put(t, etcd, key, value)
			if it := registrytest.Must(t)(r.Update(ctx, core.ConfigMap, with(uid), registry.WriteOptions{})); it.UID() != first.UID() {
				t.Errorf("%s: replaced by %q it has the uid %q, want %q as before", name, uid, it.UID(), first.UID())
			}
		}
	}

	storetest.Put(t, etcd, "/registry/configmaps/default/new", spoilt["another uid"])
	unknown := with(chosen)
	unknown.Name = "new"
	_, err = r.Update(ctx, core.ConfigMap, unknown, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, "Precondition failed: UID in precondition: ../../../tmp/x, UID in object meta: ")
	unknown.UID = ""
	if it := registrytest.Must(t)(r.Update(ctx, core.ConfigMap, unknown, registry.WriteOptions{})); len(it.UID()) != 36 {
		t.Errorf("replaced it has the uid %q", it.UID())
	}
}
