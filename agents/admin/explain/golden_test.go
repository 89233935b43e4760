package explain

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"gantry/agents/admin/snapshot"
	"gantry/agents/admin/snapshot/snapshottest"
	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

var update = flag.Bool("update", false, "rewrite the wanted part of testdata")

// now is the time of every case.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// TestExplain runs testdata/*.txtar: a comment whose first line is "kind namespace name", the objects as YAML, and what is printed. The
// first object is of revision 101, the next of 102, and so on.
func TestExplain(t *testing.T) { snapshottest.Goldens(t, *update, explainText) }

func explainText(t *testing.T, input string) string {
	t.Helper()
	comment, objects, _ := strings.Cut(input, "-- objects --\n")
	set := kinds.BuiltIn()
	s := snapshot.New(set, 200, snapshottest.Values(t, objects))
	line, _, _ := strings.Cut(comment, "\n")
	words := strings.Fields(line)
	for _, k := range set.All {
		if k.Kind != words[0] {
			continue
		}
		namespace := words[1]
		if namespace == "-" {
			namespace = ""
		}
		r := Explain(s, nil, k, namespace, words[2], now)
		if r == nil {
			return "not found\n"
		}
		if _, err := r.JSON(); err != nil {
			t.Error(err)
		}
		return r.Text()
	}
	t.Fatalf("there is no kind %s", words[0])
	return ""
}

// TestHostileValues explains objects whose values anyone may have written: nothing panics.
func TestHostileValues(t *testing.T) {
	set := kinds.BuiltIn()
	for _, k := range set.All {
		for _, body := range []string{`{}`, `[]`, `"x"`, `{"spec":null,"status":null}`, `{"metadata":{"name":"x","namespace":"x","deletionTimestamp":"2026-07-01T00:00:00Z","finalizers":["a"]}}`} {
			namespace := ""
			if k.Namespaced {
				namespace = "x"
			}
			kv := &store.KV{Key: registry.Key(k, namespace, "x"), Value: []byte(body), ModRevision: 7}
			Explain(snapshot.New(set, 9, []*store.KV{kv}), nil, k, namespace, "x", now)
			typed := strings.TrimSuffix(body, "}") + `,"apiVersion":"` + k.APIVersion() + `","kind":"` + k.Kind + `"}`
			kv = &store.KV{Key: kv.Key, Value: []byte(strings.Replace(typed, "{,", "{", 1)), ModRevision: 7}
			Explain(snapshot.New(set, 9, []*store.KV{kv}), nil, k, namespace, "x", now)
		}
	}
	s, err := snapshot.Read(context.Background(), store.NewFake(), set)
	if err != nil || s.Revision == 0 {
		t.Errorf("an empty store: %v, %v", s, err)
	}
}
