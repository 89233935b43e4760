package registry

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/history"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

// ticket is the companion of a config map: one of two keys, each of which one config map may have.
type ticket struct {
	u     *guardedUpdate
	n     int
	tried int
}

func ticketKey(n int) string { return "/gantry/tickets/" + string(rune('0'+n)) }

// has is the key that the stored config map has; "": none.
func (c *ticket) has() string {
	if c.u.old.item == nil {
		return ""
	}
	return c.u.old.item.Object().(*corev1.ConfigMap).Data["ticket"]
}

func (c *ticket) fill(context.Context) error {
	if c.has() != "" {
		return nil
	}
	if c.tried == 2 {
		return &store.Error{Kind: store.Unavailable, Reason: "no ticket is left"}
	}
	c.u.obj.(*corev1.ConfigMap).Data = map[string]string{"ticket": ticketKey(c.n)}
	return nil
}

func (c *ticket) add(t *store.Txn, value []byte) error {
	switch key := c.has(); {
	case key != "" && c.u.remove:
		t.Deletes = append(t.Deletes, key)
		return nil
	case key != "":
		t.Puts = append(t.Puts, store.Put{Key: key, Value: value})
		return nil
	}
	t.Compares = append(t.Compares, store.Compare{Key: ticketKey(c.n)})
	t.Puts = append(t.Puts, store.Put{Key: ticketKey(c.n), Value: value})
	return nil
}

func (c *ticket) onConflict(map[string]*store.KV) { c.n, c.tried = (c.n+1)%2, c.tried+1 }

// TestHooksOfAKind gives another kind hooks, and checks that the write path calls each of them.
func TestHooksOfAKind(t *testing.T) {
	s := store.NewFake()
	r := New(Config{Store: s, Kinds: schema.NewKinds(schema.NewSet(core.Namespace, core.ConfigMap)), Agent: "test", Log: slog.New(slog.DiscardHandler)})
	r.hooks = maps.Clone(kindHooks)
	r.hooks[kschema.GroupResource{Resource: "configmaps"}] = &hooks{
		copies: 2,
		companions: func(_ context.Context, _ *Registry, u *guardedUpdate) (companions, error) {
			return &ticket{u: u}, nil
		},
		complete: func(_ *Registry, obj, _ schema.Object) field.ErrorList {
			obj.SetLabels(map[string]string{"complete": "yes"})
			if obj.GetAnnotations()["bad"] != "" {
				return field.ErrorList{field.Forbidden(field.NewPath("metadata", "annotations"), "bad")}
			}
			return nil
		},
		subresources: map[string]part{"note": {prepare: func(obj, old schema.Object) {
			obj.(*corev1.ConfigMap).BinaryData = map[string][]byte{"note": []byte("x")}
		}}},
		deletion: func(obj schema.Object, _ DeleteOptions, _ time.Time) deletionPlan {
			if obj.GetLabels()["keep"] != "" {
				return unchanged
			}
			return removed
		},
		recreate: func(obj schema.Object) { obj.SetAnnotations(map[string]string{"recreated": "yes"}) },
	}
	ctx := testContext(t)
	if _, err := r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	configMap := func(name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}}
	}
	made := map[string]*Item{}
	for i, name := range []string{"a", "b"} {
		it, err := r.Create(ctx, core.ConfigMap, configMap(name), WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		kv, _, err := s.Get(ctx, ticketKey(i), 0)
		if err != nil || kv == nil || kv.ModRevision != it.Revision {
			t.Errorf("the ticket of %s at %d: %v, %v", name, it.Revision, kv, err)
		}
		if stored, _, _ := s.Get(ctx, "/registry/configmaps/n/"+name, 0); string(stored.Value) != string(kv.Value) {
			t.Errorf("%s is stored as %s, its companion as %s", name, stored.Value, kv.Value)
		}
		if it.Object().GetLabels()["complete"] != "yes" {
			t.Errorf("%s was not completed: %s", name, it.JSON)
		}
		made[name] = it
	}
	if _, err := r.Create(ctx, core.ConfigMap, configMap("c"), WriteOptions{}); !errors.Is(err, Unavailable) {
		t.Errorf("without a ticket: %v", err)
	}
	bad := configMap("c")
	bad.Annotations = map[string]string{"bad": "yes"}
	if _, err := r.Create(ctx, core.ConfigMap, bad, WriteOptions{}); !errors.Is(err, Invalid) {
		t.Errorf("what cannot be completed: %v", err)
	}
	keep := func(current schema.Object) (schema.Object, error) { return current, nil }
	if _, err := r.Modify(ctx, core.ConfigMap, "n", "a", keep, WriteOptions{Subresource: "nothing"}); !errors.Is(err, NotFound) {
		t.Errorf("a subresource that there is not: %v", err)
	}
	if _, _, err := r.Delete(ctx, core.ConfigMap, "n", "a", DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if kv, _, _ := s.Get(ctx, ticketKey(0), 0); kv != nil {
		t.Error("a deleted config map keeps its ticket")
	}
	it, err := r.Modify(ctx, core.ConfigMap, "n", "b", keep, WriteOptions{Subresource: "note"})
	if err != nil || len(it.Object().(*corev1.ConfigMap).BinaryData) != 1 {
		t.Errorf("writing the note: %v, %v", it, err)
	}
	if kv, _, _ := s.Get(ctx, ticketKey(1), 0); kv == nil || kv.ModRevision != it.Revision {
		t.Errorf("b is at %d, its companion %v", it.Revision, kv)
	}
	old, err := Read(schema.NewSet(core.Namespace, core.ConfigMap), Key(core.ConfigMap, "n", "a"), &history.Version{Revision: made["a"].Revision, Value: made["a"].JSON})
	if err != nil {
		t.Fatal(err)
	}
	if it, err := r.PutBack(ctx, old, WriteOptions{}); err != nil || it.Object().GetAnnotations()["recreated"] != "yes" {
		t.Errorf("what was put back: %v, %v", it, err)
	}
}
