package apitest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gantry/registry"
	"gantry/registry/embedded/embeddedtest"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
	"gantry/schema/kinds/kindstest"
)

// onBothStores runs a test with a registry on the fake and on a real etcd.
func onBothStores(t *testing.T, f func(t *testing.T, r *registry.Registry, s store.Store)) {
	run := func(t *testing.T, s store.Store) {
		r := registrytest.On(t, s)
		registrytest.Namespace(t, r, "default")
		f(t, r, s)
	}
	t.Run("fake", func(t *testing.T) { run(t, store.NewFake()) })
	t.Run("etcd", func(t *testing.T) { run(t, embeddedtest.Store(t)) })
}

// decoded is an object of version v as a client sends it.
func decoded(t *testing.T, v *schema.Version, text string) schema.Object {
	t.Helper()
	obj, warnings, err := schema.Decode(v, []byte(text))
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	return obj
}

// in is an item's bytes in a version, without what differs from run to run.
func in(t *testing.T, it *registry.Item, v *schema.Version) string {
	t.Helper()
	data, err := it.As(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	obj := decoded(t, v, string(data))
	if obj.GetResourceVersion() != fmt.Sprint(it.Revision) || string(obj.GetUID()) != it.UID() {
		t.Errorf("resourceVersion %s of revision %d, uid %s of %s", obj.GetResourceVersion(), it.Revision, obj.GetUID(), it.UID())
	}
	obj.SetResourceVersion("")
	obj.SetUID("")
	obj.SetCreationTimestamp(metav1.Time{})
	text, err := schema.Encode(obj)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestKindWithTwoGroups adds a kind with Go types to a running registry, writes and reads it in both its versions, and removes it.
func TestKindWithTwoGroups(t *testing.T) {
	onBothStores(t, func(t *testing.T, r *registry.Registry, s store.Store) {
		ctx, k := t.Context(), kindstest.Route()
		legacy := k.Versions[0]
		_, err := r.Get(ctx, k, "default", "a", "")
		registrytest.WantError(t, err, registry.NotFound, "could not find the requested resource")
		_, err = r.Create(ctx, k, &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}}, registry.WriteOptions{})
		registrytest.WantError(t, err, registry.NotFound, "could not find the requested resource")
		if err := r.Kinds().Add(k); err != nil {
			t.Fatal(err)
		}
		w, err := r.Watch(ctx, k, "", registry.WatchOptions{ResourceVersion: "0", Fields: "class=internal", Version: legacy})
		if err != nil {
			t.Fatal(err)
		}
		sent := decoded(t, legacy, `{"kind":"Route","apiVersion":"legacy.example.com/v1beta1","metadata":{"name":"a","namespace":"default","annotations":{"legacy.example.com/class":"internal"}}}`)
		obj, err := registry.ForWrite(ctx, k, legacy, sent)
		if err != nil {
			t.Fatal(err)
		}
		a := registrytest.Must(t)(r.Create(ctx, k, obj, registry.WriteOptions{Decoded: true}))
		const stored = `{"kind":"Route","apiVersion":"routes.example.com/v1","metadata":{"name":"a","namespace":"default","generation":1},"spec":{"ingressClassName":"internal"},"status":{"loadBalancer":{}}}`
		const old = `{"kind":"Route","apiVersion":"legacy.example.com/v1beta1","metadata":{"name":"a","namespace":"default","generation":1,"annotations":{"legacy.example.com/class":"internal"}},"spec":{},"status":{"loadBalancer":{}}}`
		for _, it := range []*registry.Item{a, registrytest.Must(t)(r.Get(ctx, k, "default", "a", "")), registrytest.Must(t)(r.Get(ctx, k, "default", "a", "0"))} {
			if got := in(t, it, k.Stored()); got != stored {
				t.Errorf("stored:\n%s", cmp.Diff(stored, got))
			}
			if got := in(t, it, legacy); got != old {
				t.Errorf("in the other group:\n%s", cmp.Diff(old, got))
			}
		}
		kv, _, err := s.Get(ctx, "/registry/routes.example.com/routes/default/a", 0)
		if err != nil || !strings.HasPrefix(string(kv.Value), `{"kind":"Route","apiVersion":"routes.example.com/v1","metadata":{"name":"a",`) {
			t.Errorf("etcd has %s, %v", kv.Value, err)
		}

		// Another class: for the watcher, which selects in the other version, the object is gone.
		registrytest.Must(t)(r.Modify(ctx, k, "default", "a", func(current schema.Object) (schema.Object, error) {
			class := "external"
			current.(*networkingv1.Ingress).Spec.IngressClassName = &class
			return current, nil
		}, registry.WriteOptions{}))
		registrytest.Must(t)(r.Modify(ctx, k, "default", "a", func(current schema.Object) (schema.Object, error) {
			current.(*networkingv1.Ingress).Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
			return current, nil
		}, registry.WriteOptions{Subresource: "status"}))
		var events []registry.Event
		for len(events) < 2 {
			if events, err = w.Next(ctx, events); err != nil {
				t.Fatal(err)
			}
		}
		if events[0].Type != registry.Added || events[1].Type != registry.Deleted || in(t, events[1].Item, legacy) != old {
			t.Errorf("events %v", events)
		}
		l, err := r.List(ctx, k, "default", registry.ListOptions{Fields: "class=external", Version: legacy})
		if err != nil || len(l.Items) != 1 || registry.ConvertItems(ctx, l.Items, legacy) != nil {
			t.Fatal(l, err)
		}
		current, err := l.Items[0].ObjectAs(ctx, legacy)
		if got := legacy.Row(current, metav1.Now()); err != nil || got[1] != "external" || current.(*extensionsv1beta1.Ingress).Status.LoadBalancer.Ingress[0].IP != "192.0.2.1" {
			t.Errorf("row %v, %v", got, err)
		}
		_, err = r.List(ctx, k, "default", registry.ListOptions{Fields: "class=external"})
		registrytest.WantError(t, err, registry.BadRequest, "field label not supported: class")
		if _, gone, err := r.Delete(ctx, k, "default", "a", registry.DeleteOptions{}); err != nil || !gone {
			t.Error(gone, err)
		}
		r.Kinds().Remove(k)
		for err = nil; err == nil; {
			_, err = w.Next(ctx, nil)
		}
		registrytest.WantError(t, err, registry.NotFound, "could not find the requested resource")
	})
}

// TestKindWithoutGoType writes and reads a kind without Go types.
func TestKindWithoutGoType(t *testing.T) {
	onBothStores(t, func(t *testing.T, r *registry.Registry, s store.Store) {
		ctx, k := t.Context(), kindstest.Widget()
		if err := r.Kinds().Add(k); err != nil {
			t.Fatal(err)
		}
		obj, warnings, err := schema.Decode(k.Stored(), []byte(`{"status":{"replicas":9},"bogus":1,"spec":{"replicas":2,"ratio":0.5,"list":[1,"<a>",null]},"metadata":{"name":"a","namespace":"default","bogus":1},"apiVersion":"example.com/v1","kind":"Widget"}`))
		if want := []string{`unknown field "metadata.bogus"`, `unknown field "bogus"`}; err != nil || !slices.Equal(warnings, want) {
			t.Fatal(warnings, err)
		}
		a := registrytest.Must(t)(r.Create(ctx, k, obj, registry.WriteOptions{Decoded: true}))
		want := `{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"a","namespace":"default","generation":1},"spec":{"colour":"red","list":[1,"<a>",null],"ratio":0.5,"replicas":2}}`
		if got := in(t, a, k.Stored()); got != want {
			t.Errorf("created:\n%s", cmp.Diff(want, got))
		}
		want = `{"kind":"Widget","apiVersion":"example.com/v1beta1","metadata":{"name":"a","namespace":"default","generation":1},"spec":{"colour":"red","list":[1,"<a>",null],"ratio":0.5,"size":2}}`
		if got := in(t, a, k.Versions[0]); got != want {
			t.Errorf("in v1beta1:\n%s", cmp.Diff(want, got))
		}
		want = strings.Replace(in(t, a, k.Stored()), "example.com/v1", "example.com/v1alpha1", 1)
		if got := in(t, a, k.Versions[1]); got != want {
			t.Errorf("in v1alpha1:\n%s", cmp.Diff(want, got))
		}

		change := func(subresource string, f func(u *unstructured.Unstructured)) (*registry.Item, error) {
			return r.Modify(ctx, k, "default", "a", func(current schema.Object) (schema.Object, error) {
				f(current.(*unstructured.Unstructured))
				return current, nil
			}, registry.WriteOptions{Subresource: subresource})
		}
		scale := func(n int32) (*registry.Item, error) {
			return change("", func(u *unstructured.Unstructured) {
				if err := k.Scale().Set(u, n); err != nil {
					t.Error(err)
				}
				u.Object["status"] = map[string]any{"replicas": int64(7)}
			})
		}
		b := registrytest.Must(t)(scale(3))
		if obj := b.Object().(*unstructured.Unstructured); obj.GetGeneration() != 2 || obj.Object["status"] != nil {
			t.Errorf("updated: %s", b.JSON)
		}
		_, err = scale(101)
		registrytest.WantError(t, err, registry.Invalid, "must be at most 100")
		b = registrytest.Must(t)(change("status", func(u *unstructured.Unstructured) {
			u.Object["status"] = map[string]any{"replicas": int64(3), "selector": "app=a"}
			u.Object["spec"] = "dropped"
		}))
		if spec, status, selector := k.Scale().Get(b.Object()); spec != 3 || status != 3 || selector != "app=a" || b.Object().GetGeneration() != 2 {
			t.Errorf("status: %d %d %q %s", spec, status, selector, b.JSON)
		}
		if same := registrytest.Must(t)(change("", func(*unstructured.Unstructured) {})); same.Revision != b.Revision {
			t.Errorf("no change was written: %d, %d", same.Revision, b.Revision)
		}
		l, err := r.List(ctx, k, "", registry.ListOptions{Fields: "spec.colour=red", Version: k.Versions[0]})
		if err != nil || len(l.Items) != 1 {
			t.Errorf("%v, %v", l, err)
		}

		// What another process reads, from a value in whatever form, and what it can not read.
		other := registrytest.On(t, s)
		again := kindstest.Widget()
		if err := other.Kinds().Add(again); err != nil {
			t.Fatal(err)
		}
		if got := registrytest.Must(t)(other.Get(ctx, again, "default", "a", "")); string(got.JSON) != string(b.JSON) {
			t.Errorf("read again:\n%s", cmp.Diff(string(b.JSON), string(got.JSON)))
		}
		const key = "/registry/example.com/widgets/default/"
		const byHand = `{"apiVersion":"example.com/v1beta1","kind":"Widget","metadata":{"labels":{"a":"b"},"name":"old","namespace":"default","uid":"0f8fad5b-d9cb-469f-a165-70867728950e"},"spec":{"size":1}}`
		hostile := map[string]string{
			"labels": `{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"labels","namespace":"default","uid":"0f8fad5b-d9cb-469f-a165-70867728950e","labels":[1]}}`,
			"nested": `{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"nested","namespace":"default","uid":"0f8fad5b-d9cb-469f-a165-70867728950e"},"spec":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + `}`,
			"meta":   `{"kind":"Widget","apiVersion":"example.com/v1","metadata":1}`,
			"scale":  `{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"scale","namespace":"default","uid":"0f8fad5b-d9cb-469f-a165-70867728950e"},"spec":{"replicas":-1}}`,
		}
		puts := []store.Put{{Key: key + "old", Value: []byte(byHand)}}
		for name, value := range hostile {
			puts = append(puts, store.Put{Key: key + name, Value: []byte(value)})
		}
		for _, p := range puts {
			if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{p}}); err != nil {
				t.Fatal(err)
			}
		}
		want = `{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"old","namespace":"default","labels":{"a":"b"}},"spec":{"colour":"red","replicas":1}}`
		if got := in(t, registrytest.Must(t)(r.Get(ctx, k, "default", "old", "")), k.Stored()); got != want {
			t.Errorf("by hand:\n%s", cmp.Diff(want, got))
		}
		for name := range hostile {
			if _, err := r.Get(ctx, k, "default", name, ""); !errors.Is(err, registry.Unreadable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		list, err := r.DeleteCollection(ctx, k, "default", registry.DeleteOptions{}, registry.ListOptions{})
		if err != nil || len(list.Items) != 2 {
			t.Errorf("deleted %v, %v", list.Items, err)
		}
	})
}

// TestFollowKinds checks that kinds are followed as soon as they are added, and that the objects of a removed kind are reported as deleted.
func TestFollowKinds(t *testing.T) {
	r := registrytest.On(t, store.NewFake())
	registrytest.Namespace(t, r, "default")
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan string, 100)
	started := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- r.FollowKinds(ctx, func(k *schema.Kind) func(registry.Change) {
			return func(c registry.Change) {
				switch {
				case k != core.ConfigMap && k.Group != "example.com":
				case c.New == nil:
					said <- k.Kind + " " + c.Old.Name + " is gone"
				case c.Old == nil:
					said <- k.Kind + " " + c.New.Name + " is there"
				}
			}
		}, func() { close(started) })
	}()
	<-started
	wantSaid := func(want string) {
		t.Helper()
		if got := <-said; got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	k := kindstest.Widget()
	for range 3 {
		if err := r.Kinds().Add(k); err != nil {
			t.Fatal(err)
		}
		registrytest.Must(t)(r.Create(ctx, k, decoded(t, k.Stored(), `{"metadata":{"name":"a","namespace":"default"}}`), registry.WriteOptions{}))
		wantSaid("Widget a is there")
		if _, _, err := r.Delete(ctx, k, "default", "a", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		wantSaid("Widget a is gone")
		registrytest.Must(t)(r.Create(ctx, k, decoded(t, k.Stored(), `{"metadata":{"name":"b","namespace":"default"}}`), registry.WriteOptions{}))
		wantSaid("Widget b is there")
		r.Kinds().Remove(k)
		wantSaid("Widget b is gone")
		if err := r.Kinds().Add(k); err != nil { // a cache of its own, filled anew
			t.Fatal(err)
		}
		wantSaid("Widget b is there")
		if _, _, err := r.Delete(ctx, k, "default", "b", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		wantSaid("Widget b is gone")
		r.Kinds().Remove(k)
	}
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c"}}, registry.WriteOptions{}))
	wantSaid("ConfigMap c is there")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestReplacedKind checks that a kind that replaces another of its name, with another stored version, has a cache of its own and reads what
// was written before.
func TestReplacedKind(t *testing.T) {
	r := registry.New(registry.Config{Store: store.NewFake(), Kinds: kinds.New(), Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	registrytest.Must(t)(r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, registry.WriteOptions{}))
	before, after := kindstest.Widget(), kindstest.Widget()
	after.Version, after.Versions = *after.Versions[0], []*schema.Version{{
		Group: "example.com", Version: "v1", Kind: "Widget", New: schema.NewUnstructured, NewList: schema.NewUnstructuredList,
		ToStored: after.Versions[0].FromStored, FromStored: after.Versions[0].ToStored,
	}}
	after.Fields = before.Fields
	if err := r.Kinds().Add(before); err != nil {
		t.Fatal(err)
	}
	registrytest.Must(t)(r.Create(ctx, before, decoded(t, before.Stored(), `{"metadata":{"name":"a","namespace":"default"},"spec":{"replicas":4}}`), registry.WriteOptions{}))
	if err := r.Kinds().Add(after); err != nil {
		t.Fatal(err)
	}
	_, err := r.Get(ctx, before, "default", "a", "")
	registrytest.WantError(t, err, registry.Replaced, "the definition of widgets.example.com has just changed, please try again")
	it := registrytest.Must(t)(r.Get(ctx, after, "default", "a", "0"))
	want := `{"kind":"Widget","apiVersion":"example.com/v1beta1","metadata":{"name":"a","namespace":"default","generation":1},"spec":{"colour":"red","size":4}}`
	if got := in(t, it, after.Stored()); got != want {
		t.Errorf("%s", cmp.Diff(want, got))
	}
	it = registrytest.Must(t)(r.Modify(ctx, after, "default", "a", func(current schema.Object) (schema.Object, error) {
		current.SetLabels(map[string]string{"a": "b"})
		return current, nil
	}, registry.WriteOptions{}))
	want = strings.Replace(want, `,"generation":1`, `,"generation":1,"labels":{"a":"b"}`, 1)
	if got := in(t, it, after.Stored()); got != want {
		t.Errorf("%s", cmp.Diff(want, got))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
