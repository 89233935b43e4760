package apitest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/batch"
	"gantry/schema/core"
)

func TestGracefulDeletion(t *testing.T) {
	type step struct {
		o     registry.DeleteOptions
		gone  bool
		grace int64 // of what is left
	}
	grace := func(n int64) registry.DeleteOptions { return registry.DeleteOptions{GracePeriodSeconds: &n} }
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
			ctx := registrytest.Context(t)
			in := registrytest.Pod("p")
			in.Finalizers = c.finalizers
			registrytest.Must(t)(r.Create(ctx, core.Pod, in, registry.WriteOptions{}))
			if c.node != "" {
				registrytest.Must(t)(registrytest.Bind(ctx, r, "p", c.node, registry.WriteOptions{}))
			}
			if c.phase != "" {
				registrytest.Modify(t, r, "default", "p", "status", func(p *corev1.Pod) { p.Status.Phase = c.phase })
			}
			for i, s := range c.steps {
				before := time.Now()
				it, gone, err := r.Delete(ctx, core.Pod, "default", "p", s.o)
				if err != nil || gone != s.gone {
					t.Fatalf("step %d: gone %v, %v", i, gone, err)
				}
				if _, rev := storetest.Value(t, store, "/registry/pods/default/p"); (rev == 0) != gone {
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
			if copies := storetest.Keys(t, store, "/gantry/bynode/"); c.steps[len(c.steps)-1].gone && len(copies) > 0 {
				t.Errorf("copies left: %v", copies)
			}
		})
	}
}

func TestLastFinalizerDeletes(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := registrytest.Context(t)
	in := registrytest.ConfigMap("a")
	in.Finalizers = []string{"example.com/one", "example.com/two"}
	registrytest.Must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
	if _, gone, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{}); err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	_, err := r.Modify(ctx, core.ConfigMap, "default", "a", func(o schema.Object) (schema.Object, error) {
		o.SetFinalizers(append(o.GetFinalizers(), "example.com/three"))
		return o, nil
	}, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "no new finalizers can be added if the object is being deleted")
	_, err = r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Exists, `object is being deleted: configmaps "a" already exists`)
	registrytest.Modify(t, r, "default", "a", "", func(cm *corev1.ConfigMap) { cm.Finalizers = cm.Finalizers[:1] })
	if _, rev := storetest.Value(t, store, "/registry/configmaps/default/a"); rev == 0 {
		t.Fatal("deleted with a finalizer left")
	}
	registrytest.Modify(t, r, "default", "a", "", func(cm *corev1.ConfigMap) { cm.Finalizers = nil })
	if _, rev := storetest.Value(t, store, "/registry/configmaps/default/a"); rev != 0 {
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
			ctx := registrytest.Context(t)
			in := registrytest.ConfigMap("a")
			in.Finalizers = c.had
			registrytest.Must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
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
	_, _, err := r.Delete(registrytest.Context(t), core.ConfigMap, "default", "a", registry.DeleteOptions{Propagation: "Sideways"})
	registrytest.WantError(t, err, registry.Invalid, `propagationPolicy: Unsupported value: "Sideways"`)
}

// TestDependentsOfJobsAreOrphaned checks that a deletion of a Job without a propagation policy orphans its pods, with a warning, as in
// Kubernetes.
func TestDependentsOfJobsAreOrphaned(t *testing.T) {
	const orphan, foreground = "orphan", "foregroundDeletion"
	for _, c := range []struct {
		name, propagation string
		had               []string
		gone              bool
		want              []string
		warns             bool
	}{
		{"no policy", "", nil, false, []string{orphan}, true},
		{"no policy, finalizers", "", []string{"example.com/hold"}, false, []string{"example.com/hold", orphan}, true},
		{"no policy, one from before", "", []string{foreground}, false, []string{foreground}, true},
		{"background", "Background", nil, true, nil, false},
		{"orphan", "Orphan", nil, false, []string{orphan}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := registrytest.New(t)
			ctx := registrytest.Context(t)
			in := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", Finalizers: c.had}}
			in.Spec.Template.Spec.RestartPolicy = "Never"
			in.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
			registrytest.Must(t)(r.Create(ctx, batch.Job, in, registry.WriteOptions{}))
			var texts []string
			o := registry.DeleteOptions{Propagation: c.propagation, Warn: func(t []string) { texts = append(texts, t...) }}
			list, err := r.DeleteCollection(ctx, batch.Job, "default", registry.DeleteOptions{DryRun: true, Propagation: c.propagation, Warn: o.Warn}, registry.ListOptions{})
			if err != nil || len(list.Items) != 1 || (len(texts) == 1) != c.warns {
				t.Errorf("collection: %d, %v, warnings %q", len(list.Items), err, texts)
			}
			texts = nil
			it, gone, err := r.Delete(ctx, batch.Job, "default", "a", o)
			if err != nil || gone != c.gone {
				t.Fatalf("gone %v, %v", gone, err)
			}
			if got := it.Object().GetFinalizers(); !gone && !slices.Equal(got, c.want) {
				t.Errorf("finalizers %v, want %v", got, c.want)
			}
			if warned := len(texts) == 1 && strings.HasPrefix(texts[0], "child pods are preserved by default"); warned != c.warns {
				t.Errorf("warnings %q", texts)
			}
		})
	}
}

func TestDeletePreconditions(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	_, _, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{})
	registrytest.WantError(t, err, registry.NotFound, `"a" not found`)
	first := registrytest.Must(t)(r.Create(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	second := registrytest.Must(t)(r.Update(ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{}))
	_, _, err = r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{UID: "other"})
	registrytest.WantError(t, err, registry.Conflict, "the UID in the precondition (other) does not match the UID in record ("+first.UID()+"). The object might have been deleted and then recreated")
	_, _, err = r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{ResourceVersion: registrytest.ResourceVersion(t, first)})
	registrytest.WantError(t, err, registry.Conflict, "does not match the ResourceVersion in record ("+registrytest.ResourceVersion(t, second)+"). The object might have been modified")
	_, _, err = r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{ResourceVersion: "0"})
	registrytest.WantError(t, err, registry.Conflict, "the ResourceVersion in the precondition (0) does not match")
	it, gone, err := r.Delete(ctx, core.ConfigMap, "default", "a", registry.DeleteOptions{UID: first.UID(), ResourceVersion: registrytest.ResourceVersion(t, second)})
	if err != nil || !gone || it.Revision <= second.Revision {
		t.Errorf("gone %v at %v, %v", gone, it, err)
	}
}

// An object made again under the same name is another object: what was meant for the first one misses it.
func TestSameNameAnotherUID(t *testing.T) {
	r, _ := registrytest.New(t)
	ctx := registrytest.Context(t)
	first := registrytest.Must(t)(r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}))
	old := first.Object().DeepCopyObject().(*corev1.Pod)
	if _, _, err := r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	registrytest.Must(t)(r.Create(ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}))
	old.ResourceVersion = ""
	_, err := r.Update(ctx, core.Pod, old, registry.WriteOptions{Subresource: "status"})
	registrytest.WantError(t, err, registry.Conflict, "UID")
	_, err = registrytest.Bind(ctx, r, "p", "n1", registry.WriteOptions{UID: first.UID()})
	registrytest.WantError(t, err, registry.Conflict, "UID")
	_, _, err = r.Delete(ctx, core.Pod, "default", "p", registry.DeleteOptions{UID: first.UID()})
	registrytest.WantError(t, err, registry.Conflict, "UID")
}

func TestNamespaceDeletion(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := registrytest.Context(t)
	registrytest.Namespace(t, r, "team")
	it, gone, err := r.Delete(ctx, core.Namespace, "", "team", registry.DeleteOptions{})
	if err != nil || gone {
		t.Fatalf("gone %v, %v", gone, err)
	}
	ns := it.Object().(*corev1.Namespace)
	if ns.DeletionTimestamp == nil || ns.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("marked %s", it.JSON)
	}
	in := registrytest.ConfigMap("late")
	in.Namespace = "team"
	_, err = r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Forbidden, "unable to create new content in namespace team because it is being terminated")
	if _, gone, err = r.Delete(ctx, core.Namespace, "", "team", registry.DeleteOptions{}); err != nil || gone {
		t.Fatalf("again: gone %v, %v", gone, err)
	}
	registrytest.Modify(t, r, "", "team", "", func(ns *corev1.Namespace) { ns.Spec.Finalizers = nil })
	if _, rev := storetest.Value(t, store, "/registry/namespaces/team"); rev == 0 {
		t.Fatal("a plain update took the finalizers of the spec away")
	}
	registrytest.Modify(t, r, "", "team", "finalize", func(ns *corev1.Namespace) { ns.Spec.Finalizers = nil })
	if _, rev := storetest.Value(t, store, "/registry/namespaces/team"); rev != 0 {
		t.Error("the namespace is there without finalizers")
	}
	for _, name := range []string{"default", "kube-system", "kube-public"} {
		_, _, err := r.Delete(ctx, core.Namespace, "", name, registry.DeleteOptions{})
		registrytest.WantError(t, err, registry.Forbidden, "this namespace may not be deleted")
	}
}

func TestDeleteCollection(t *testing.T) {
	r, store := registrytest.New(t)
	ctx := registrytest.Context(t)
	for _, name := range []string{"a", "b", "c"} {
		in := registrytest.ConfigMap(name)
		in.Labels = map[string]string{"app": "web"}
		if name == "c" {
			in.Labels = nil
		}
		registrytest.Must(t)(r.Create(ctx, core.ConfigMap, in, registry.WriteOptions{}))
	}
	list, err := r.DeleteCollection(ctx, core.ConfigMap, "default", registry.DeleteOptions{}, registry.ListOptions{Labels: "app=web"})
	if err != nil || len(list.Items) != 2 {
		t.Errorf("%d items, %v", len(list.Items), err)
	}
	if left := storetest.Keys(t, store, "/registry/configmaps/default/"); len(left) != 1 || left[0] != "c" {
		t.Errorf("left %v", left)
	}
}
