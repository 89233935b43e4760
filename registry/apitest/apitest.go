// Package apitest is the conformance suite of registry.API: what agents rely on, whether they write to etcd themselves or through a gateway.
// Its tests run the suite on a registry, and hold what only a registry has besides: lists and watches, etcd that is slow, away, restarted or
// restored, and the requests that a call costs.
package apitest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// wait bounds everything the suite waits for.
const wait = 30 * time.Second

// Run runs the suite. open returns an API over a store of its own that has the namespace default and no config maps; it ends with its test.
func Run(t *testing.T, open func(t *testing.T) registry.API) {
	tests := []struct {
		name string
		run  func(t *testing.T, s suite)
	}{
		{"Get", testGet},
		{"Create", testCreate},
		{"CreateRefuses", testCreateRefuses},
		{"Update", testUpdate},
		{"UpdateConflicts", testUpdateConflicts},
		{"UpdateStatus", testUpdateStatus},
		{"Modify", testModify},
		{"ModifyRefuses", testModifyRefuses},
		{"ConcurrentModify", testConcurrentModify},
		{"Delete", testDelete},
		{"DeleteWithFinalizer", testDeleteWithFinalizer},
		{"DryRun", testDryRun},
		{"Cancelled", testCancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			t.Cleanup(cancel)
			tt.run(t, suite{T: t, ctx: ctx, api: open(t)})
		})
	}
}

type suite struct {
	*testing.T
	ctx context.Context
	api registry.API
}

const namespace = "default"

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{"v": value}}
}

func value(it *registry.Item) string { return it.Object().(*corev1.ConfigMap).Data["v"] }

// create stores a config map.
func (s suite) create(name, v string) *registry.Item {
	s.Helper()
	it, err := s.api.Create(s.ctx, core.ConfigMap, configMap(name, v), registry.WriteOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return it
}

func (s suite) get(name string) *registry.Item {
	s.Helper()
	it, err := s.api.Get(s.ctx, core.ConfigMap, namespace, name, "")
	if err != nil {
		s.Fatal(err)
	}
	return it
}

// fails wants an error of a kind about a config map.
func (s suite) fails(what string, err error, kind registry.ErrorKind, name string) {
	s.Helper()
	var e *registry.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Resource != "configmaps" || e.Name != name {
		s.Errorf("%s: error %v, want %q about the config map %q", what, err, kind, name)
	}
}

// set makes a change of Modify.
func set(v string) func(schema.Object) (schema.Object, error) {
	return func(current schema.Object) (schema.Object, error) {
		current.(*corev1.ConfigMap).Data = map[string]string{"v": v}
		return current, nil
	}
}

func testGet(t *testing.T, s suite) {
	made := s.create("a", "1")
	for _, rv := range []string{"", "0", made.Object().GetResourceVersion()} {
		it, err := s.api.Get(s.ctx, core.ConfigMap, namespace, "a", rv)
		if rv == "0" && errors.Is(err, registry.NotFound) {
			continue // a cache may be behind
		}
		if err != nil {
			t.Fatalf("Get at %q: %v", rv, err)
		}
		if it.Kind != core.ConfigMap || it.Namespace != namespace || it.Name != "a" || it.Revision != made.Revision || it.UID() != made.UID() || value(it) != "1" {
			t.Errorf("Get at %q = %+v", rv, it)
		}
		if !strings.Contains(string(it.JSON), `"resourceVersion":"`+it.Object().GetResourceVersion()+`"`) {
			t.Errorf("the bytes at %q have no resourceVersion: %s", rv, it.JSON)
		}
	}
	_, err := s.api.Get(s.ctx, core.ConfigMap, namespace, "none", "")
	s.fails("Get of what is absent", err, registry.NotFound, "none")
}

func testCreate(t *testing.T, s suite) {
	obj := configMap("a", "1")
	it, err := s.api.Create(s.ctx, core.ConfigMap, obj, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if it.Revision == 0 || it.UID() == "" || it.Object().GetCreationTimestamp().Time.IsZero() || value(it) != "1" {
		t.Errorf("Create = %s at %d", it.JSON, it.Revision)
	}
	if obj.UID != "" || obj.ResourceVersion != "" || !obj.CreationTimestamp.IsZero() {
		t.Errorf("the caller's object was changed: %+v", obj.ObjectMeta)
	}
	generated := configMap("", "2")
	generated.GenerateName = "g-"
	if it, err = s.api.Create(s.ctx, core.ConfigMap, generated, registry.WriteOptions{}); err != nil || !strings.HasPrefix(it.Name, "g-") || len(it.Name) <= 2 {
		t.Errorf("a generated name: %v, %v", it, err)
	}
}

func testCreateRefuses(t *testing.T, s suite) {
	s.create("a", "1")
	_, err := s.api.Create(s.ctx, core.ConfigMap, configMap("a", "2"), registry.WriteOptions{})
	s.fails("a name that is taken", err, registry.Exists, "a")
	_, err = s.api.Create(s.ctx, core.ConfigMap, configMap("A_b", "2"), registry.WriteOptions{})
	s.fails("a name that is none", err, registry.Invalid, "A_b")
	versioned := configMap("b", "2")
	versioned.ResourceVersion = "5"
	if _, err = s.api.Create(s.ctx, core.ConfigMap, versioned, registry.WriteOptions{}); !errors.Is(err, registry.BadRequest) {
		t.Errorf("a new object with a resourceVersion: %v", err)
	}
	elsewhere := configMap("b", "2")
	elsewhere.Namespace = "none"
	if _, err = s.api.Create(s.ctx, core.ConfigMap, elsewhere, registry.WriteOptions{}); !errors.Is(err, registry.NotFound) {
		t.Errorf("a namespace that there is not: %v", err)
	}
	if got := value(s.get("a")); got != "1" {
		t.Errorf("a refused creation changed the object to %q", got)
	}
}

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

func testModify(t *testing.T, s suite) {
	made := s.create("a", "1")
	it, err := s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", set("2"), registry.WriteOptions{})
	if err != nil || value(it) != "2" || it.Revision <= made.Revision {
		t.Fatalf("Modify = %v, %v", it, err)
	}
	same, err := s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", set("2"), registry.WriteOptions{})
	if err != nil || same.Revision != it.Revision {
		t.Errorf("a change of nothing = %v, %v: want revision %d", same, err, it.Revision)
	}
	// Another writer writes between: the change is made of the new state.
	seen := ""
	once := sync.OnceFunc(func() {
		if _, err := s.api.Update(s.ctx, core.ConfigMap, configMap("a", "other"), registry.WriteOptions{}); err != nil {
			t.Error(err)
		}
	})
	it, err = s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", func(current schema.Object) (schema.Object, error) {
		seen = current.(*corev1.ConfigMap).Data["v"]
		once()
		return set(seen + "+")(current)
	}, registry.WriteOptions{})
	if err != nil || seen != "other" || value(it) != "other+" {
		t.Errorf("Modify beside another writer = %v, %v: it saw %q last", it, err, seen)
	}
}

func testModifyRefuses(t *testing.T, s suite) {
	made := s.create("a", "1")
	rv := made.Object().GetResourceVersion()
	_, err := s.api.Modify(s.ctx, core.ConfigMap, namespace, "none", set("2"), registry.WriteOptions{})
	s.fails("Modify of what is absent", err, registry.NotFound, "none")
	stop := errors.New("stop")
	_, err = s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", func(schema.Object) (schema.Object, error) { return nil, stop }, registry.WriteOptions{})
	if !errors.Is(err, stop) {
		t.Errorf("the change's error became %v", err)
	}
	if _, err := s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", set("2"), registry.WriteOptions{ResourceVersion: rv, UID: made.UID()}); err != nil {
		t.Fatal(err)
	}
	_, err = s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", set("3"), registry.WriteOptions{ResourceVersion: rv})
	s.fails("an old resourceVersion", err, registry.Conflict, "a")
	_, err = s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", set("3"), registry.WriteOptions{UID: "0f8fad5b-d9cb-469f-a165-70867728950e"})
	s.fails("another uid", err, registry.Conflict, "a")
	if got := value(s.get("a")); got != "2" {
		t.Errorf("the object has %q after refused changes", got)
	}
}

func testConcurrentModify(t *testing.T, s suite) {
	s.create("a", "")
	var wg sync.WaitGroup
	const writers = 8
	for range writers {
		wg.Go(func() {
			_, err := s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", func(current schema.Object) (schema.Object, error) {
				return set(current.(*corev1.ConfigMap).Data["v"] + "x")(current)
			}, registry.WriteOptions{})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := value(s.get("a")); got != strings.Repeat("x", writers) {
		t.Errorf("the object has %q after %d writers", got, writers)
	}
}

func testDelete(t *testing.T, s suite) {
	made := s.create("a", "1")
	_, _, err := s.api.Delete(s.ctx, core.ConfigMap, namespace, "a", registry.DeleteOptions{UID: "0f8fad5b-d9cb-469f-a165-70867728950e"})
	s.fails("another uid", err, registry.Conflict, "a")
	_, gone, err := s.api.Delete(s.ctx, core.ConfigMap, namespace, "a", registry.DeleteOptions{UID: made.UID(), ResourceVersion: made.Object().GetResourceVersion()})
	if err != nil || !gone {
		t.Fatalf("Delete = %v, %v", gone, err)
	}
	_, err = s.api.Get(s.ctx, core.ConfigMap, namespace, "a", "")
	s.fails("Get after it", err, registry.NotFound, "a")
	_, _, err = s.api.Delete(s.ctx, core.ConfigMap, namespace, "a", registry.DeleteOptions{})
	s.fails("a second deletion", err, registry.NotFound, "a")
	if again := s.create("a", "2"); again.UID() == made.UID() || again.Revision <= made.Revision {
		t.Errorf("the object of the same name is %s", again.JSON)
	}
}

func testDeleteWithFinalizer(t *testing.T, s suite) {
	kept := configMap("a", "1")
	kept.Finalizers = []string{"example.com/keep"}
	if _, err := s.api.Create(s.ctx, core.ConfigMap, kept, registry.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	it, gone, err := s.api.Delete(s.ctx, core.ConfigMap, namespace, "a", registry.DeleteOptions{})
	if err != nil || gone || it == nil || !it.Deleting() {
		t.Fatalf("Delete = %v, %v, %v", it, gone, err)
	}
	_, err = s.api.Modify(s.ctx, core.ConfigMap, namespace, "a", func(current schema.Object) (schema.Object, error) {
		current.SetFinalizers(nil)
		return current, nil
	}, registry.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.api.Get(s.ctx, core.ConfigMap, namespace, "a", "")
	s.fails("Get without the finalizer", err, registry.NotFound, "a")
}

func testDryRun(t *testing.T, s suite) {
	dry := registry.WriteOptions{DryRun: true}
	if it, err := s.api.Create(s.ctx, core.ConfigMap, configMap("a", "1"), dry); err != nil || it.UID() == "" {
		t.Errorf("Create = %v, %v", it, err)
	}
	_, err := s.api.Get(s.ctx, core.ConfigMap, namespace, "a", "")
	s.fails("Get after a dry run", err, registry.NotFound, "a")
	made := s.create("a", "1")
	if it, err := s.api.Update(s.ctx, core.ConfigMap, configMap("a", "2"), dry); err != nil || value(it) != "2" {
		t.Errorf("Update = %v, %v", it, err)
	}
	if it := s.get("a"); it.Revision != made.Revision || value(it) != "1" {
		t.Errorf("a dry run stored %s", it.JSON)
	}
}

func testCancelled(t *testing.T, s suite) {
	s.create("a", "1")
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := s.api.Update(ctx, core.ConfigMap, configMap("a", "2"), registry.WriteOptions{}); err == nil {
		t.Error("a write whose context is done was made")
	}
	if got := value(s.get("a")); got != "1" {
		t.Errorf("the object has %q", got)
	}
}
