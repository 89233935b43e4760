package registry_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/core"
)

// modify changes an object's metadata or anything else that is the main resource's.
func modify[T schema.Object](t *testing.T, r *registry.Registry, namespace, name, subresource string, f func(T)) *registry.Item {
	t.Helper()
	k := r.Kinds().Set().Of(typeOf[T]())
	return must(t)(r.Modify(testContext(t), k, namespace, name, func(o schema.Object) (schema.Object, error) {
		f(o.(T))
		return o, nil
	}, registry.WriteOptions{Subresource: subresource}))
}

func seconds(n int64) *int64 { return &n }

func TestGracefulDeletion(t *testing.T) {
	type step struct {
		o     registry.DeleteOptions
		gone  bool
		grace int64 // of what is left
	}
	grace := func(n int64) registry.DeleteOptions { return registry.DeleteOptions{GracePeriodSeconds: seconds(n)} }
	for _, c := range []struct {
		name       string
		node       string
		phase      corev1.PodPhase
		finalizers []string
		steps      []step
	}{
		{"unscheduled", "", "", nil, []step{{registry.DeleteOptions{}, true, 0}}},
		{"bound: the pod's period", "n1", "", nil, []step{{registry.DeleteOptions{}, false, 30}}},
		{"bound: a period asked for", "n1", "", nil, []step{{grace(5), false, 5}}},
		{"bound: at once", "n1", "", nil, []step{{grace(0), true, 0}}},
		{"terminal", "n1", corev1.PodSucceeded, nil, []step{{registry.DeleteOptions{}, true, 0}}},
		{"a second deletion shortens", "n1", "", nil, []step{{grace(30), false, 30}, {grace(10), false, 10}, {grace(0), true, 0}}},
		{"a second deletion does not lengthen", "n1", "", nil, []step{{grace(10), false, 10}, {grace(60), false, 10}, {registry.DeleteOptions{}, false, 10}}},
		{"finalizers hold it", "n1", "", []string{"example.com/hold"}, []step{{grace(0), false, 0}, {grace(0), false, 0}}},
		{"unscheduled with finalizers", "", "", []string{"example.com/hold"}, []step{{registry.DeleteOptions{}, false, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, store := registrytest.New(t)
			ctx := testContext(t)
			in := pod("p")
			in.Finalizers = c.finalizers
			must(t)(r.Create(ctx, core.Pod, in, registry.WriteOptions{}))
			if c.node != "" {
				must(t)(bindTo(ctx, r, "p", c.node, registry.WriteOptions{}))
			}
			if c.phase != "" {
				modify(t, r, "default", "p", "status", func(p *corev1.Pod) { p.Status.Phase = c.phase })
			}
			for i, s := range c.steps {
				before := time.Now()
				it, gone, err := r.Delete(ctx, core.Pod, "default", "p", s.o)
				if err != nil || gone != s.gone {
					t.Fatalf("step %d: gone %v, %v", i, gone, err)
				}
				if _, rev := stored(t, store, "/registry/pods/default/p"); (rev == 0) != gone {
					t.Errorf("step %d: stored at %d", i, rev)
				}
				p := it.Object().(*corev1.Pod)
				if gone {
					continue
				}
				if g := p.DeletionGracePeriodSeconds; g == nil || *g != s.grace {
					t.Errorf("step %d: grace %v, want %d", i, g, s.grace)
				}
				due := before.Add(time.Duration(s.grace) * time.Second)
				if d := p.DeletionTimestamp.Sub(due); d < -5*time.Second || d > 5*time.Second {
					t.Errorf("step %d: deletionTimestamp is %v off", i, d)
				}
			}
			if copies := keys(t, store, "/gantry/bynode/"); c.steps[len(c.steps)-1].gone && len(copies) > 0 {
				t.Errorf("copies left: %v", copies)
			}
		})
	}
}

func TestLastFinalizerDeletes(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := testContext(t)
	in := config("a")
	in.Finalizers = []string{"example.com/one", "example.com/two"}
	must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
	if _, gone, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{}); err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	_, err := r.Modify(ctx, core.ConfigMap, "default", "a", func(o schema.Object) (schema.Object, error) {
		o.SetFinalizers(append(o.GetFinalizers(), "example.com/three"))
		return o, nil
	}, registry.WriteOptions{})
	wantError(t, err, registry.Invalid, "no new finalizers can be added if the object is being deleted")
	_, err = r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{})
	wantError(t, err, registry.Exists, `object is being deleted: configmaps "a" already exists`)
	modify(t, r, "default", "a", "", func(cm *corev1.ConfigMap) { cm.Finalizers = cm.Finalizers[:1] })
	if _, rev := stored(t, store, "/registry/configmaps/default/a"); rev == 0 {
		t.Fatal("deleted with a finalizer left")
	}
	modify(t, r, "default", "a", "", func(cm *corev1.ConfigMap) { cm.Finalizers = nil })
	if _, rev := stored(t, store, "/registry/configmaps/default/a"); rev != 0 {
		t.Error("still there without finalizers")
	}
}

func TestPropagation(t *testing.T) {
	for _, c := range []struct {
		propagation string
		had         []string
		gone        bool
		want        []string
	}{
		{"", nil, true, nil},
		{"Background", nil, true, nil},
		{"Orphan", nil, false, []string{"orphan"}},
		{"Foreground", nil, false, []string{"foregroundDeletion"}},
		{"Foreground", []string{"orphan"}, false, []string{"foregroundDeletion"}},
		{"", []string{"orphan"}, false, []string{"orphan"}},
		{"Background", []string{"foregroundDeletion"}, true, nil},
	} {
		t.Run(c.propagation, func(t *testing.T) {
			r, _ := registrytest.New(t)
			ctx := testContext(t)
			in := config("a")
			in.Finalizers = c.had
			must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
			it, gone, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{Propagation: c.propagation})
			if err != nil || gone != c.gone {
				t.Fatalf("gone %v, %v", gone, err)
			}
			if got := it.Object().GetFinalizers(); !gone && (len(got) != 1 || got[0] != c.want[0]) {
				t.Errorf("finalizers %v, want %v", got, c.want)
			}
		})
	}
	r, _ := registrytest.New(t)
	_, _, err := r.Delete(testContext(t), core.ConfigMap, "default", "a", registry.DeleteOptions{Propagation: "Sideways"})
	wantError(t, err, registry.Invalid, `propagationPolicy: Unsupported value: "Sideways"`)
}

func TestDeletePreconditions(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := testContext(t)
	_, _, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{})
	wantError(t, err, registry.NotFound, `"a" not found`)
	first := must(t)(r.Create(ctx, core.ConfigMap, config("a", "n", "1"), registry.WriteOptions{}))
	second := must(t)(r.Update(ctx, core.ConfigMap, config("a", "n", "2"), registry.WriteOptions{}))
	_, _, err = r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{UID: "other"})
	wantError(t, err, registry.Conflict, "the UID in the precondition (other) does not match the UID in record ("+first.UID()+"). The object might have been deleted and then recreated")
	_, _, err = r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{ResourceVersion: revisionOf(t, first)})
	wantError(t, err, registry.Conflict, "does not match the ResourceVersion in record ("+revisionOf(t, second)+"). The object might have been modified")
	it, gone, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{UID: first.UID(), ResourceVersion: revisionOf(t, second)})
	if err != nil || !gone || it.Revision <= second.Revision {
		t.Errorf("gone %v at %v, %v", gone, it, err)
	}
}

// An object made again under the same name is another object: what was meant for the first one misses it.
func TestSameNameAnotherUID(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := testContext(t)
	first := must(t)(r.Create(ctx, core.Pod, pod("p"), registry.WriteOptions{}))
	old := first.Object().DeepCopyObject().(*corev1.Pod)
	if _, _, err := r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	must(t)(r.Create(ctx, core.Pod, pod("p"), registry.WriteOptions{}))
	old.ResourceVersion = ""
	_, err := r.Update(ctx, core.Pod, old, registry.WriteOptions{Subresource: "status"})
	wantError(t, err, registry.Conflict, "UID")
	_, err = bindTo(ctx, r, "p", "n1", registry.WriteOptions{UID: first.UID()})
	wantError(t, err, registry.Conflict, "UID")
	_, _, err = r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{UID: first.UID()})
	wantError(t, err, registry.Conflict, "UID")
}

func TestNamespaceDeletion(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := testContext(t)
	registrytest.Namespace(t, r, "team")
	it, gone, err := r.Delete(ctx, core.Namespace, "", "team", registry.DeleteOptions{})
	if err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	ns := it.Object().(*corev1.Namespace)
	if ns.DeletionTimestamp == nil || ns.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("marked %s", it.JSON)
	}
	in := config("late")
	in.Namespace = "team"
	_, err = r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{})
	wantError(t, err, registry.Forbidden, "unable to create new content in namespace team because it is being terminated")
	if _, gone, err = r.Delete(ctx, core.Namespace, "", "team", registry.DeleteOptions{}); err != nil || gone {
		t.Fatalf("again: gone %v, %v", gone, err)
	}
	modify(t, r, "", "team", "", func(ns *corev1.Namespace) { ns.Spec.Finalizers = nil })
	if _, rev := stored(t, store, "/registry/namespaces/team"); rev == 0 {
		t.Fatal("a plain update took the finalizers of the spec away")
	}
	modify(t, r, "", "team", "finalize", func(ns *corev1.Namespace) { ns.Spec.Finalizers = nil })
	if _, rev := stored(t, store, "/registry/namespaces/team"); rev != 0 {
		t.Error("the namespace is there without finalizers")
	}
	for _, name := range []string{"default", "kube-system", "kube-public"} {
		_, _, err := r.Delete(ctx, core.Namespace, "", name, registry.DeleteOptions{})
		wantError(t, err, registry.Forbidden, "this namespace may not be deleted")
	}
}

func TestDeleteCollection(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := testContext(t)
	for _, name := range []string{"a", "b", "c"} {
		in := config(name)
		in.Labels = map[string]string{"app": "web"}
		if name == "c" {
			in.Labels = nil
		}
		must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
	}
	list, err := r.DeleteCollection(ctx, core.ConfigMap, "default", registry.DeleteOptions{}, registry.ListOptions{Labels: "app=web"})
	if err != nil || len(list.Items) != 2 {
		t.Errorf("%d items, %v", len(list.Items), err)
	}
	if left := keys(t, store, "/registry/configmaps/default/"); len(left) != 1 || left[0] != "c" {
		t.Errorf("left %v", left)
	}
}
