package apitest_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/batch"
	"gantry/schema/core"
)

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
	registrytest.WantError(t, err, registry.Conflict, "the object has been modified; please apply your changes to the latest version and try again")
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

// TestUIDsAreTheServers checks that a body cannot set the uid of an object, also where it replaces a value that cannot be read.
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

// TestMetadataOfJobsIsCheckedTwice: an update of the object itself reports a bad finalizer twice and a bad generateName at all, as Kubernetes
// does it for this kind; one of its status does not.
func TestMetadataOfJobsIsCheckedTwice(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}}
	job.Spec.Template.Spec.RestartPolicy = "Never"
	job.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
	registrytest.Must(t)(r.Create(ctx, batch.Job, job, registry.WriteOptions{}))
	for _, c := range []struct {
		subresource string
		want        []string
	}{
		{"", []string{"metadata.generateName", "metadata.finalizers[0]", "metadata.finalizers[0]"}},
		{"status", []string{"metadata.finalizers[0]"}},
	} {
		_, err := r.Modify(ctx, batch.Job, "default", "a", func(o schema.Object) (schema.Object, error) {
			o.SetGenerateName("*")
			o.SetFinalizers([]string{"x"})
			return o, nil
		}, registry.WriteOptions{Subresource: c.subresource})
		var e *registry.Error
		if !errors.As(err, &e) {
			t.Fatalf("%q: %v", c.subresource, err)
		}
		var got []string
		for _, f := range e.Fields {
			got = append(got, f.Field)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.subresource, got, c.want)
		}
	}
}
