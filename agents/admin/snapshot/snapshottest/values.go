// Package snapshottest makes the values of a snapshot for tests.
package snapshottest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"sigs.k8s.io/yaml"

	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

// Values are objects as etcd holds them. A document with the member "$key" is a value of that key.
func Values(t testing.TB, objects string) (all []*store.KV) {
	t.Helper()
	set := kinds.BuiltIn()
	for doc := range strings.SplitSeq(objects, "---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("parsing %s: %v", doc, err)
		}
		key, _ := o["$key"].(string)
		if delete(o, "$key"); key == "" {
			meta := o["metadata"].(map[string]any)
			ns, _ := meta["namespace"].(string)
			k := set.Kind(o["apiVersion"].(string), o["kind"].(string))
			if k == nil {
				t.Fatalf("no kind of %s", doc)
			}
			key = registry.Key(k, ns, meta["name"].(string))
		}
		lengthenUIDs(o)
		value, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &store.KV{Key: key, Value: value, ModRevision: int64(101 + len(all))})
	}
	return all
}

// lengthenUIDs makes a UUID of every short uid of a case.
func lengthenUIDs(value any) {
	switch v := value.(type) {
	case map[string]any:
		if uid, ok := v["uid"].(string); ok {
			v["uid"] = uuid.NewSHA1(uuid.Nil, []byte(uid)).String()
		}
		for _, member := range v {
			lengthenUIDs(member)
		}
	case []any:
		for _, member := range v {
			lengthenUIDs(member)
		}
	}
}
