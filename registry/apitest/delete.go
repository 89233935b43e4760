package apitest

import (
	"errors"
	"strings"
	"testing"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

func testDelete(t *testing.T, s suite) {
	made := s.create("a", "1")
	_, _, err := s.api.Delete(s.ctx, core.ConfigMap, namespace, "a", registry.DeleteOptions{UID: "0f8fad5b-d9cb-469f-a165-70867728950e"})
	if !errors.Is(err, registry.Conflict) || !strings.Contains(err.Error(), "the UID in the precondition") {
		t.Errorf("another uid: error %v, want a conflict about the precondition", err)
	}
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
