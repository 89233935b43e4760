package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema"
)

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: meta("default", name),
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
}

func config(name string, data ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: meta("default", name), Data: map[string]string{}}
	for i := 0; i+1 < len(data); i += 2 {
		cm.Data[data[i]] = data[i+1]
	}
	return cm
}

// must is a write that is expected to work.
func must(t *testing.T) func(*registry.Item, error) *registry.Item {
	return func(it *registry.Item, err error) *registry.Item {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return it
	}
}

// wantError checks the kind of an error and a part of its text.
func wantError(t *testing.T, err error, kind registry.ErrorKind, text string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %s with %q", err, kind, text)
	}
}

// stored is a key's value; "" where it is absent.
func stored(t *testing.T, s store.Store, key string) (value string, revision int64) {
	t.Helper()
	kv, _, err := s.Get(testContext(t), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if kv == nil {
		return "", 0
	}
	return string(kv.Value), kv.ModRevision
}

// keys are those below a prefix.
func keys(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	kvs, _, _, err := s.List(testContext(t), prefix, prefix[:len(prefix)-1]+"0", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, kv := range kvs {
		out = append(out, strings.TrimPrefix(kv.Key, prefix))
	}
	return out
}

// raw writes a value past the registry, as etcdctl does.
func raw(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	if _, err := s.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: key, Value: []byte(value)}}}); err != nil {
		t.Fatal(err)
	}
}

func revisionOf(t *testing.T, it *registry.Item) string {
	t.Helper()
	var v struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(it.JSON, &v); err != nil {
		t.Fatal(err)
	}
	return v.Metadata.ResourceVersion
}

func nothing(current schema.Object) (schema.Object, error) { return current, nil }

// bindTo binds a pod of default to a node.
func bindTo(ctx context.Context, r *registry.Registry, name, node string, o registry.WriteOptions) (*registry.Item, error) {
	return r.Bind(ctx, "default", name, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}, o)
}

// interceptedStore is a store whose Commit can lose its answer.
type interceptedStore struct {
	store.Store
	commit func(ctx context.Context, s store.Store, t store.Txn) (store.TxnResult, error)
}

func (f *interceptedStore) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	if f.commit != nil {
		return f.commit(ctx, f.Store, t)
	}
	return f.Store.Commit(ctx, t)
}

var errLost = &store.Error{Kind: store.Timeout, Reason: "the answer was lost", UnknownOutcome: true}
