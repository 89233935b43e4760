package apitest

import (
	"errors"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/coordination"
	"gantry/schema/core"
)

// stale is the text of a conflict with another writer.
const stale = "the object has been modified; please apply your changes to the latest version and try again"

func testUpdate(t *testing.T, s suite) {
	made := s.create("a", "1")
	it, err := s.api.Update(s.ctx, core.ConfigMap, configMap("a", "2"), registry.WriteOptions{})
	if err != nil || it.Revision <= made.Revision || it.UID() != made.UID() || value(it) != "2" {
		t.Fatalf("Update = %v, %v", it, err)
	}
	same, err := s.api.Update(s.ctx, core.ConfigMap, configMap("a", "2"), registry.WriteOptions{})
	if err != nil || same.Revision != it.Revision {
		t.Errorf("an equal update = %v, %v: want revision %d", same, err, it.Revision)
	}
	next := configMap("a", "3")
	next.ResourceVersion = it.Object().GetResourceVersion()
	if it, err = s.api.Update(s.ctx, core.ConfigMap, next, registry.WriteOptions{}); err != nil || value(it) != "3" {
		t.Errorf("an update of the current revision = %v, %v", it, err)
	}
}

func testUpdateConflicts(t *testing.T, s suite) {
	made := s.create("a", "1")
	rv := made.Object().GetResourceVersion()
	if _, err := s.api.Update(s.ctx, core.ConfigMap, configMap("a", "2"), registry.WriteOptions{ResourceVersion: rv, UID: made.UID()}); err != nil {
		t.Fatal(err)
	}
	_, err := s.api.Update(s.ctx, core.ConfigMap, configMap("a", "3"), registry.WriteOptions{ResourceVersion: rv})
	s.fails("an old resourceVersion in the options", err, registry.Conflict, "a")
	old := configMap("a", "3")
	old.ResourceVersion = rv
	_, err = s.api.Update(s.ctx, core.ConfigMap, old, registry.WriteOptions{})
	s.fails("an old resourceVersion in the object", err, registry.Conflict, "a")
	_, err = s.api.Update(s.ctx, core.ConfigMap, configMap("a", "3"), registry.WriteOptions{UID: "0f8fad5b-d9cb-469f-a165-70867728950e"})
	s.fails("another uid", err, registry.Conflict, "a")
	_, err = s.api.Update(s.ctx, core.ConfigMap, configMap("none", "3"), registry.WriteOptions{})
	s.fails("an update of what is absent", err, registry.NotFound, "none")
	if got := value(s.get("a")); got != "2" {
		t.Errorf("the object has %q after refused updates", got)
	}
}

func testUpdateStatus(t *testing.T, s suite) {
	ns, err := s.api.Get(s.ctx, core.Namespace, "", namespace, "")
	if err != nil {
		t.Fatal(err)
	}
	obj := ns.Object().DeepCopyObject().(*corev1.Namespace)
	obj.Status.Conditions = []corev1.NamespaceCondition{{Type: "Test", Status: corev1.ConditionTrue}}
	obj.Labels = map[string]string{"added": "yes"}
	it, err := s.api.Update(s.ctx, core.Namespace, obj, registry.WriteOptions{Subresource: "status"})
	if err != nil {
		t.Fatal(err)
	}
	if got := it.Object().(*corev1.Namespace); len(got.Status.Conditions) != 1 || it.Namespace != "" {
		t.Errorf("an update of the status = %s", it.JSON)
	}
	obj = it.Object().DeepCopyObject().(*corev1.Namespace)
	obj.Status.Conditions = nil
	if it, err = s.api.Update(s.ctx, core.Namespace, obj, registry.WriteOptions{}); err != nil || len(it.Object().(*corev1.Namespace).Status.Conditions) != 1 {
		t.Errorf("an update of the object changed its status: %v, %v", it, err)
	}
	if _, err = s.api.Update(s.ctx, core.Namespace, obj, registry.WriteOptions{Subresource: "nothing"}); !errors.Is(err, registry.NotFound) {
		t.Errorf("a subresource that there is not: %v", err)
	}
}

func testUpdateGuards(t *testing.T, s suite) {
	first := registrytest.Must(t)(s.api.Create(s.ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	second := registrytest.Must(t)(s.api.Update(s.ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{}))
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
		{"no number", with("x", ""), registry.WriteOptions{}, registry.BadRevision, `strconv.ParseUint: parsing "x": invalid syntax`},
		{"another uid", with("", "other"), registry.WriteOptions{}, registry.Conflict, "Precondition failed: UID in precondition: other, UID in object meta: " + second.UID()},
		{"another uid in the options", with("", ""), registry.WriteOptions{UID: "other"}, registry.Conflict, "Precondition failed"},
		{"an absent name", registrytest.ConfigMap("zzz"), registry.WriteOptions{}, registry.NotFound, `"zzz" not found`},
		{"no such subresource", with("", ""), registry.WriteOptions{Subresource: "status"}, registry.NotFound, "could not find the requested resource"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.api.Update(s.ctx, core.ConfigMap, c.in, c.o)
			registrytest.WantError(t, err, c.kind, c.text)
		})
	}
	third := registrytest.Must(t)(s.api.Update(s.ctx, core.ConfigMap, with(registrytest.ResourceVersion(t, second), second.UID()), registry.WriteOptions{}))
	if third.Object().GetUID() != first.Object().GetUID() || third.Object().GetCreationTimestamp() != first.Object().GetCreationTimestamp() {
		t.Errorf("uid or creationTimestamp changed: %s", third.JSON)
	}
}

func testUpdateMustSayItsRevision(t *testing.T, s suite) {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: "n1"}}
	registrytest.Must(t)(s.api.Create(s.ctx, coordination.Lease, lease, registry.WriteOptions{}))
	_, err := s.api.Update(s.ctx, coordination.Lease, lease, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Invalid, "metadata.resourceVersion: Invalid value: 0: must be specified for an update")
	_, err = s.api.Update(s.ctx, coordination.Lease, lease, registry.WriteOptions{ResourceVersion: "0"})
	registrytest.WantError(t, err, registry.Invalid, "must be specified for an update")
}

func testEqualWritesNothing(t *testing.T, s suite) {
	first := registrytest.Must(t)(s.api.Create(s.ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	for name, f := range map[string]func() (*registry.Item, error){
		"update": func() (*registry.Item, error) {
			return s.api.Update(s.ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{})
		},
		"modify": func() (*registry.Item, error) {
			return s.api.Modify(s.ctx, core.ConfigMap, "default", "a", registrytest.Unchanged, registry.WriteOptions{})
		},
	} {
		if it := registrytest.Must(t)(f()); it.Revision != first.Revision {
			t.Errorf("%s: revision %d, was %d", name, it.Revision, first.Revision)
		}
	}
}

func testCreateOnUpdate(t *testing.T, s suite) {
	if !coordination.Lease.CreateOnUpdate {
		t.Fatal("leases are created by an update")
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: "n1"}}
	it := registrytest.Must(t)(s.api.Update(s.ctx, coordination.Lease, lease, registry.WriteOptions{}))
	if it.Object().GetUID() == "" {
		t.Errorf("created %s", it.JSON)
	}
	lease.Name, lease.UID = "n2", "gone"
	_, err := s.api.Update(s.ctx, coordination.Lease, lease, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, "uid mismatch: the provided object specified uid gone, and no existing object was found")
}

func testStatusAndSpecAreApart(t *testing.T, s suite) {
	registrytest.Must(t)(s.api.Create(s.ctx, core.Pod, registrytest.Pod("p"), registry.WriteOptions{}))
	it := registrytest.Must(t)(s.api.Modify(s.ctx, core.Pod, "default", "p", func(o schema.Object) (schema.Object, error) {
		p := o.(*corev1.Pod)
		p.Status.Phase = corev1.PodRunning
		p.Spec.Containers[0].Image = "other"
		return p, nil
	}, registry.WriteOptions{Subresource: "status"}))
	if p := it.Object().(*corev1.Pod); p.Status.Phase != corev1.PodRunning || p.Spec.Containers[0].Image != "i" {
		t.Errorf("status write: %s", it.JSON)
	}
	it = registrytest.Must(t)(s.api.Modify(s.ctx, core.Pod, "default", "p", func(o schema.Object) (schema.Object, error) {
		p := o.(*corev1.Pod)
		p.Status.Phase = corev1.PodFailed
		p.Labels = map[string]string{"a": "b"}
		return p, nil
	}, registry.WriteOptions{}))
	if p := it.Object().(*corev1.Pod); p.Status.Phase != corev1.PodRunning || p.Labels["a"] != "b" {
		t.Errorf("main write: %s", it.JSON)
	}
}
