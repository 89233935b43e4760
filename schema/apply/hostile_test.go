package apply_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/apply"
	"gantry/schema/core"
	"gantry/schema/internal/cost"
)

func entryOf(manager, operation, version, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationType(operation), APIVersion: version, FieldsType: "FieldsV1",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)},
	}
}

// wide is a trie of n fields of data.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"f:k%d":{}`, i)
	}
	return `{"f:data":{` + b.String()[1:] + `}}`
}

// TestHostileEntries: whatever managedFields there are in etcd, an object can be updated and applied, in bounded time.
func TestHostileEntries(t *testing.T) {
	many := func(n int, entry func(i int) metav1.ManagedFieldsEntry) (all []metav1.ManagedFieldsEntry) {
		for i := range n {
			all = append(all, entry(i))
		}
		return all
	}
	for name, entries := range map[string][]metav1.ManagedFieldsEntry{
		"no operation": {{Manager: "m"}},
		"no JSON":      {entryOf("m", "Apply", "v1", `{`)},
		"no path":      {entryOf("m", "Apply", "v1", `{"x":{}}`)},
		"no keys":      {entryOf("m", "Apply", "v1", `{"k:{":{}}`)},
		"a list":       {entryOf("m", "Apply", "v1", `[1]`)},
		"nothing":      {entryOf("m", "Apply", "v1", ``)},
		"null":         {entryOf("m", "Apply", "v1", `null`)},
		"deep":         {entryOf("m", "Apply", "v1", strings.Repeat(`{"f:a":`, 100_000)+"{}"+strings.Repeat("}", 100_000))},
		"no version":   {entryOf("m", "Apply", "", `{"f:data":{"f:k1":{}}}`)},
		"other versions": many(10_000, func(i int) metav1.ManagedFieldsEntry {
			return entryOf("m", "Update", fmt.Sprint("v", i+2), `{"f:data":{"f:k1":{}}}`)
		}),
		"a long manager": {entryOf(strings.Repeat("m", 100_000), "Apply", "v1", `{"f:data":{"f:k1":{}}}`)},
		"many updates": many(10_000, func(i int) metav1.ManagedFieldsEntry {
			return entryOf(fmt.Sprint("m", i), "Update", "v1", `{"f:data":{"f:k1":{}}}`)
		}),
		"many applies": many(10_000, func(i int) metav1.ManagedFieldsEntry {
			return entryOf(fmt.Sprint("m", i), "Apply", "v1", `{"f:data":{"f:k1":{}}}`)
		}),
		"wide":          {entryOf("m", "Apply", "v1", wide(40_000)), entryOf("n", "Update", "v1", wide(40_000))},
		"wide and many": many(200, func(i int) metav1.ManagedFieldsEntry { return entryOf(fmt.Sprint("m", i), "Apply", "v1", wide(300)) }),
		"indexes":       {entryOf("m", "Apply", "v1", `{"f:data":{"i:5":{},"v:1":{},"k:{\"a\":1}":{}}}`)},
		"twice":         {entryOf("m", "Apply", "v1", `{"f:data":{"f:k1":{}}}`), entryOf("m", "Apply", "v1", `{"f:data":{"f:k2":{}}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			live := &corev1.ConfigMap{
				TypeMeta:   metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
				ObjectMeta: metav1.ObjectMeta{Name: "m", Namespace: "n", UID: "u", ManagedFields: entries},
				Data:       map[string]string{"k1": "a", "k2": "b"},
			}
			types := &apply.Types{}
			obj := live.DeepCopy()
			obj.Data["k1"] = "c"
			took, _ := cost.Of(t, func() {
				if err := types.Update(context.Background(), apply.Write{Kind: core.ConfigMap, Manager: "u"}, live, obj); err != nil {
					t.Errorf("update: %v", err)
				}
				if _, err := write(types, core.ConfigMap, live, step{manager: "a", config: configMap + `{"k1":"x"}}`, force: true}); err != nil {
					t.Errorf("apply: %v", err)
				}
			})
			if n := len(obj.ManagedFields); n > 257 {
				t.Errorf("%d entries after an update", n)
			}
			if took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestHostileObjects: an object with a map as large as etcd takes is not managed; it can be written all the same.
func TestHostileObjects(t *testing.T) {
	data := map[string]string{}
	for i := range 60_000 {
		data[fmt.Sprintf("k%d", i)] = ""
	}
	live := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "m", Namespace: "n", UID: "u", ManagedFields: []metav1.ManagedFieldsEntry{
			entryOf("m", "Apply", "v1", `{"f:data":{"f:k1":{}}}`)}},
		Data: data,
	}
	const wide = "an object or a list has more than 20000 members"
	types := &apply.Types{}
	obj := live.DeepCopy()
	obj.Data = map[string]string{}
	if err := types.Update(context.Background(), apply.Write{Kind: core.ConfigMap, Manager: "u"}, live, obj); err == nil || err.Error() != wide || obj.ManagedFields != nil {
		t.Errorf("update: %v, %d entries", err, len(obj.ManagedFields))
	}
	for name, s := range map[string]step{
		"live":   {manager: "a", config: configMap + `{"k1":"x"}}`},
		"config": {manager: "a", config: configMap + `{` + strings.Repeat(`"a":"b",`, 30_000) + `"k1":"x"}}`},
	} {
		if _, err := write(types, core.ConfigMap, live, s); !apierrors.IsRequestEntityTooLargeError(err) {
			t.Errorf("%s: %v, want an error of its size", name, err)
		}
	}
}
