package apitest

import (
	"errors"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/core"
)

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

func testModifyHonoursWhatChangeReturns(t *testing.T, s suite) {
	first := registrytest.Must(t)(s.api.Create(s.ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "1"), registry.WriteOptions{}))
	registrytest.Must(t)(s.api.Update(s.ctx, core.ConfigMap, registrytest.ConfigMap("a", "n", "2"), registry.WriteOptions{}))
	_, err := s.api.Modify(s.ctx, core.ConfigMap, "default", "a", func(o schema.Object) (schema.Object, error) {
		o.SetResourceVersion(registrytest.ResourceVersion(t, first)) // as a patch that names a resourceVersion does
		return o, nil
	}, registry.WriteOptions{})
	registrytest.WantError(t, err, registry.Conflict, stale)
	calls := 0
	_, err = s.api.Modify(s.ctx, core.ConfigMap, "default", "a", func(o schema.Object) (schema.Object, error) {
		calls++
		return o, nil
	}, registry.WriteOptions{ResourceVersion: registrytest.ResourceVersion(t, first)})
	registrytest.WantError(t, err, registry.Conflict, stale)
	if calls != 0 {
		t.Errorf("change was called %d times for a revision that is gone", calls)
	}
}
