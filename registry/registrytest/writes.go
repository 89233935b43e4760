package registrytest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry"
	"gantry/schema"
)

// Context is a context that ends with the test or after 20 seconds.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Must returns a function that takes a call's result and ends the test where that is an error.
func Must(t testing.TB) func(*registry.Item, error) *registry.Item {
	return func(it *registry.Item, err error) *registry.Item {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return it
	}
}

// WantError checks the kind of an error and a part of its text.
func WantError(t testing.TB, err error, kind registry.ErrorKind, text string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %s with %q", err, kind, text)
	}
}

// ResourceVersion is the metadata.resourceVersion in an item's bytes; "": there is none.
func ResourceVersion(t testing.TB, it *registry.Item) string {
	t.Helper()
	var v struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal(it.JSON, &v); err != nil {
		t.Fatal(err)
	}
	return v.Metadata.ResourceVersion
}

// Bind binds a pod of the namespace default to a node.
func Bind(ctx context.Context, r *registry.Registry, name, node string, o registry.WriteOptions) (*registry.Item, error) {
	return r.Bind(ctx, "default", name, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}, o)
}

// Modify changes an object by f, or a subresource of it.
func Modify[T schema.Object](t testing.TB, r *registry.Registry, namespace, name, subresource string, f func(T)) *registry.Item {
	t.Helper()
	k := r.Kinds().Set().Of(reflect.TypeFor[T]())
	return Must(t)(r.Modify(Context(t), k, namespace, name, func(o schema.Object) (schema.Object, error) {
		f(o.(T))
		return o, nil
	}, registry.WriteOptions{Subresource: subresource}))
}

// Unchanged is a change of Modify that changes nothing.
func Unchanged(current schema.Object) (schema.Object, error) { return current, nil }
