package registry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

func TestStamp(t *testing.T) {
	by := Stamp{User: `system:node:"{n}"`, Time: time.Date(2026, 1, 2, 15, 4, 5, 678e6, time.UTC), After: 41}
	plain := `{"kind":"ConfigMap","metadata":{"name":"a"}}`
	value := stamped([]byte(plain), by)
	got, ok := stampIn(value, 41)
	if d := cmp.Diff(by, got); !ok || d != "" {
		t.Errorf("stampIn(%s): %v, %s", value, ok, d)
	}
	if _, ok := stampIn(value, 42); ok {
		t.Error("a stamp that was copied to another revision was believed")
	}
	by.User = "alice"
	for _, c := range []struct{ name, in, want string }{
		{"stamped", string(stamped([]byte(plain), by)), plain},
		{"plain", plain, plain},
		{"empty", "", ""},
		{"no object", `[1]`, `[1]`},
		{"rubbish", `{"a":1,"$by":{`, `{"a":1,"$by":{`},
		{"deeper", `{"data":{"a":"b","$by":{"user":"x"}}}`, `{"data":{"a":"b","$by":{"user":"x"}}}`},
		{"not the end", `{"a":1,"$by":{"user":"x"},"b":{}}`, `{"a":1,"$by":{"user":"x"},"b":{}}`},
		{"in a string", `{"a":{"b":",\"$by\":{}"}}`, `{"a":{"b":",\"$by\":{}"}}`},
	} {
		if got := string(unstamped([]byte(c.in))); got != c.want {
			t.Errorf("%s: unstamped(%s) = %s, want %s", c.name, c.in, got, c.want)
		}
	}
}

// TestStampsAreNotServed: neither what a process wrote itself nor what another wrote shows who did; the value in etcd does,
// and reading it takes the short way.
func TestStampsAreNotServed(t *testing.T) {
	ctx := testContext(t)
	s := store.NewFake()
	cfg := Config{Store: s, Kinds: schema.NewKinds(schema.NewSet(core.Namespace, core.ConfigMap)), Agent: "test"}
	writer, reader := runRegistry(t, cfg), runRegistry(t, cfg)
	if _, err := writer.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	it, err := writer.Create(WithWriter(ctx, "alice"), core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "a"}}, WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*Registry{"writer": writer, "reader": reader} {
		got, err := r.Get(ctx, core.ConfigMap, "n", "a", "")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(it.JSON), string(got.JSON)); d != "" {
			t.Errorf("%s (-created +got):\n%s", name, d)
		}
	}
	kv, _, err := s.Get(ctx, Key(core.ConfigMap, "n", "a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if by, ok := stampIn(kv.Value, 0); !ok || by.User != "alice" || time.Since(by.Time) > time.Minute {
		t.Errorf("stamp %+v, %v in %s", by, ok, kv.Value)
	}
	obj, form, err := decodeStored(core.ConfigMap, "n/a", unstamped(kv.Value))
	if err != nil || string(form) != string(unstamped(kv.Value)) {
		t.Errorf("decodeStored: %v, %s, %v", obj, form, err)
	}
	if _, warnings, err := schema.Decode(core.ConfigMap.Stored(), kv.Value); err != nil || len(warnings) > 0 {
		t.Errorf("a value of etcd sent to the API: %v, %v", warnings, err)
	}
}

// BenchmarkStamp is what a stamp costs a write, and a read of what another process wrote.
func BenchmarkStamp(b *testing.B) {
	value := []byte(benchPod)
	by := Stamp{User: "system:node:n1", Time: time.Now().UTC(), After: 123456}
	with := stamped(value, by)
	b.Run("Put", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			stamped(value, by)
		}
	})
	b.Run("Take", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			unstamped(with)
		}
	})
}
