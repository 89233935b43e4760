// Package apitest is the conformance suite of registry.API: what agents rely on, whether they write to etcd themselves or through a gateway.
// Its tests run the suite on a registry, and hold what only a registry has besides: lists and watches, etcd that is slow, away, restarted or
// restored, and the requests that a call costs.
package apitest

import (
	"context"
	"errors"
	"strings"
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

// Run runs the suite. open returns an API over a store of its own that has the namespaces default and kube-node-lease, a
// service account in default, and no config maps; it ends with its test.
func Run(t *testing.T, open func(t *testing.T) registry.API) {
	tests := []struct {
		name string
		run  func(t *testing.T, s suite)
	}{
		{"Get", testGet},
		{"Create", testCreate},
		{"CreateRefuses", testCreateRefuses},
		{"CreateErrors", testCreateErrors},
		{"TooLongListsAreNotValidated", testTooLongListsAreNotValidated},
		{"ManyErrorsAreTruncated", testManyErrorsAreTruncated},
		{"Update", testUpdate},
		{"UpdateConflicts", testUpdateConflicts},
		{"UpdateGuards", testUpdateGuards},
		{"UpdateMustSayItsRevision", testUpdateMustSayItsRevision},
		{"EqualWritesNothing", testEqualWritesNothing},
		{"CreateOnUpdate", testCreateOnUpdate},
		{"UpdateStatus", testUpdateStatus},
		{"StatusAndSpecAreApart", testStatusAndSpecAreApart},
		{"Modify", testModify},
		{"ModifyRefuses", testModifyRefuses},
		{"ModifyHonoursWhatChangeReturns", testModifyHonoursWhatChangeReturns},
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
