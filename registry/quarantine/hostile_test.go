package quarantine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/registry/quarantine"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// TestHostileValues writes arbitrary values, as with etcdctl, before the cache is filled and after.
func TestHostileValues(t *testing.T) {
	good := storetest.Pod("n", "bad", "")
	tests := []struct{ name, value, want string }{
		{"not JSON", "rubbish", "not a JSON object"},
		{"empty", "", "empty"},
		{"truncated", good[:len(good)-9], "unexpected end"},
		{"trailing", good + "x", "invalid character"},
		{"null", "null", "not a JSON object"},
		{"array", "[]", "not a JSON object"},
		{"number", "1", "not a JSON object"},
		{"byte order mark", "\ufeff" + good, "not a JSON object"},
		{"not UTF-8", strings.Replace(good, `"i"`, "\"\xff\"", 1), "UTF-8"},
		{"protobuf", "k8s\x00\x0a\x09", "protobuf"},
		{"other name", storetest.Pod("n", "else", ""), `metadata.name is "else"`},
		{"other namespace", storetest.Pod("m", "bad", ""), `metadata.namespace is "m"`},
		{"other kind", strings.Replace(good, `"Pod"`, `"Node"`, 1), "is not a v1 Pod"},
		{"other version", strings.Replace(good, `"v1"`, `"v2"`, 1), "is not a v1 Pod"},
		{"no uid", strings.Replace(good, `"uid":"`+storetest.UID("bad")+`",`, "", 1), "metadata.uid is missing"},
		{"a path as uid", strings.Replace(good, storetest.UID("bad"), "../../../tmp/x", 1), `metadata.uid is no UUID: "../../../tmp/x"`},
		{"half a uid", strings.Replace(good, storetest.UID("bad"), storetest.UID("bad")[:35], 1), "metadata.uid is no UUID"},
		{"a time after 9999", strings.Replace(good, `"status":{`, `"status":{"startTime":"9999-12-31T23:59:59-01:00"`, 1), "status.startTime: Invalid value"},
		{"a time that was written as year 10000", strings.Replace(good, `"status":{`, `"status":{"startTime":"10000-01-01T00:59:59Z"`, 1), "parsing time"},
		{"a quantity of many digits", strings.Replace(good, `"image":"i"`, `"image":"i","resources":{"limits":{"cpu":"1e-2147483648"}}`, 1), "spec.containers[0].resources.limits[cpu]: Invalid value"},
		{"a quantity beyond 2^63", strings.Replace(good, `"image":"i"`, `"image":"i","resources":{"limits":{"cpu":"1e19"}}`, 1), "spec.containers[0].resources.limits[cpu]: Invalid value"},
		{"deeply nested", strings.Replace(good, `"labels"`, `"managedFields":[{"fieldsV1":`+strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000)+`}],"labels"`, 1), "must not nest deeper"},
		{"duplicate key", strings.Replace(good, `"uid":`, `"uid":"x","uid":`, 1), "duplicate field"},
		{"wrong type", strings.Replace(good, `"spec":{`, `"spec":{"containers":"x",`, 1), "cannot unmarshal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := store.NewFake()
			first := storetest.Put(t, s, "/registry/pods/n/good", storetest.Pod("n", "good", ""))
			was := storetest.Put(t, s, "/registry/pods/n/bad", good)
			var mu sync.Mutex
			var reported []string
			r := registrytest.Run(t, registry.Config{Store: s, Kinds: kinds.New(), Quarantine: true, Log: slog.New(slog.DiscardHandler),
				OnBad: func(k *schema.Kind, namespace, name string, err error) {
					mu.Lock()
					defer mu.Unlock()
					reported = append(reported, fmt.Sprintf("%s %s/%s %v", k.Kind, namespace, name, err))
				}})
			ctx := registrytest.Context(t)
			w, err := r.Watch(ctx, core.Pod, "", registry.WatchOptions{})
			if err != nil {
				t.Fatal(err)
			}
			registrytest.Next(t, w, 2)
			rev := storetest.Put(t, s, "/registry/pods/n/bad", tt.value)
			if got, want := fmt.Sprint(registrytest.Show(registrytest.Next(t, w, 1))), fmt.Sprintf("[DELETED bad %d]", rev); got != want {
				t.Errorf("a watcher saw %s, want %s", got, want)
			}
			isBad(t, ctx, s, r, rev, was, tt.want)
			// Another process that starts now sees the same, and does not write the record again.
			r2 := registrytest.Run(t, registry.Config{Store: s, Kinds: kinds.New(), Quarantine: true, Log: slog.New(slog.DiscardHandler)})
			isBad(t, ctx, s, r2, rev, was, tt.want)
			said := func() []string {
				mu.Lock()
				defer mu.Unlock()
				return reported
			}
			_ = registrytest.WaitFor(ctx, func() bool { return len(said()) > 0 }) // OnBad is called after the record is written
			if reported := said(); len(reported) != 1 || !strings.Contains(reported[0], "Pod n/bad ") {
				t.Errorf("OnBad was called with %q", reported)
			}
			again := storetest.Put(t, s, "/registry/pods/n/bad", good)
			storetest.Put(t, s, "/registry/pods/n/good", storetest.Pod("n", "good", `"x":"y"`))
			if got, want := fmt.Sprint(registrytest.Show(registrytest.Next(t, w, 2))), fmt.Sprintf("[ADDED bad %d MODIFIED good %d]", again, again+1); again > first && got != want &&
				!strings.HasPrefix(got, fmt.Sprintf("[ADDED bad %d MODIFIED good ", again)) {
				t.Errorf("after the repair a watcher saw %s, want %s", got, want)
			}
			if err := registrytest.WaitFor(ctx, func() bool {
				kv, _, err := s.Get(ctx, "/gantry/quarantine/registry/pods/n/bad", 0)
				return err == nil && kv == nil
			}); err != nil {
				t.Error("the record outlives the repair")
			}
			if _, err := r.Get(ctx, core.Pod, "n", "bad", ""); err != nil {
				t.Errorf("Get after the repair: %v", err)
			}
		})
	}
}

func isBad(t *testing.T, ctx context.Context, s store.Store, r *registry.Registry, rev, good int64, want string) {
	t.Helper()
	l, err := r.List(ctx, core.Pod, "", registry.ListOptions{})
	if err != nil || registrytest.Names(l) != "good" {
		t.Errorf("List = %s, %v", registrytest.Names(l), err)
	}
	if _, err := r.Get(ctx, core.Pod, "n", "bad", ""); !errors.Is(err, registry.Unreadable) || !strings.Contains(err.Error(), want) {
		t.Errorf("Get: %v, want %s", err, want)
	}
	var b quarantine.Record
	err = registrytest.WaitFor(ctx, func() bool {
		kv, _, err := s.Get(ctx, "/gantry/quarantine/registry/pods/n/bad", 0)
		return err == nil && kv != nil && json.Unmarshal(kv.Value, &b) == nil
	})
	if err != nil || b.Key != "/registry/pods/n/bad" || b.Revision != rev || b.LastGood != good || !strings.Contains(b.Error, want) || b.Time.IsZero() {
		t.Errorf("the record is %+v, want revision %d, last good %d, %s", b, rev, good, want)
	}
}

// TestHandWrittenValues checks that values that a person writes with etcdctl are read, whatever their form.
func TestHandWrittenValues(t *testing.T) {
	s := store.NewFake()
	r := registrytest.On(t, s)
	tests := []struct{ name, value string }{
		{"pretty-printed, other order", "{\n  \"metadata\": {\n    \"uid\": \"0f8fad5b-d9cb-469f-a165-70867728950e\", \"name\": \"a\",\n \"namespace\": \"n\"\n  },\n  \"apiVersion\": \"v1\", \"spec\": {},\n  \"kind\": \"Pod\"\n}\n"},
		{"a resourceVersion of its own", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n","uid":"0f8fad5b-d9cb-469f-a165-70867728950e","resourceVersion":"99"},"spec":{}}`},
		{"without kind and apiVersion", `{"metadata":{"name":"a","namespace":"n","uid":"0f8fad5b-d9cb-469f-a165-70867728950e"},"spec":{}}`},
		{"unknown fields", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n","uid":"0f8fad5b-d9cb-469f-a165-70867728950e","foo":1},"spec":{"bar":{}}}`},
	}
	for _, tt := range tests {
		rev := storetest.Put(t, s, "/registry/pods/n/a", tt.value)
		it, err := r.Get(registrytest.Context(t), core.Pod, "n", "a", "")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"n","uid":"0f8fad5b-d9cb-469f-a165-70867728950e","resourceVersion":"%d"`, rev)
		pod := it.Object().(*corev1.Pod)
		if !strings.HasPrefix(string(it.JSON), want) || pod.ResourceVersion != fmt.Sprint(rev) || pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
			t.Errorf("%s: %s, want %s and the defaults", tt.name, it.JSON, want)
		}
	}
	storetest.Put(t, s, "/registry/deployments/n/d", `{"metadata":{"name":"d","namespace":"n","uid":"0f8fad5b-d9cb-469f-a165-70867728950e"},"spec":{"replicas":5}}`)
	it, err := r.Get(registrytest.Context(t), apps.Deployment, "n", "d", "")
	if err != nil || *it.Object().(*appsv1.Deployment).Spec.Replicas != 5 {
		t.Errorf("a scaled deployment: %v, %v", it, err)
	}
	storetest.Put(t, s, "/registry/deployments/n/d", `{"metadata":{"name":"d","namespace":"n","uid":"0f8fad5b-d9cb-469f-a165-70867728950e"},"spec":{"replicas":-5}}`)
	if _, err := r.Get(registrytest.Context(t), apps.Deployment, "n", "d", ""); !errors.Is(err, registry.Unreadable) {
		t.Errorf("negative replicas: %v", err)
	}
	storetest.Put(t, s, "/registry/pods/a/b/c", `{}`)
	storetest.Put(t, s, "/registry/pods/x", `{}`)
	if l, err := r.List(registrytest.Context(t), core.Pod, "", registry.ListOptions{}); err != nil || registrytest.Names(l) != "a" {
		t.Errorf("keys of no object: %s, %v", registrytest.Names(l), err)
	}
}
