package history

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecord(t *testing.T) {
	by := Record{User: `system:node:"{n}"`, Time: time.Date(2026, 1, 2, 15, 4, 5, 678e6, time.UTC), After: 41}
	plain := `{"kind":"ConfigMap","metadata":{"name":"a"}}`
	value := Append([]byte(plain), by)
	got, ok := RecordIn(value, 41)
	if d := cmp.Diff(by, got); !ok || d != "" {
		t.Errorf("RecordIn(%s): %v, %s", value, ok, d)
	}
	if _, ok := RecordIn(value, 42); ok {
		t.Error("a record that was copied to another revision was believed")
	}
	by.User = "alice"
	for _, c := range []struct{ name, in, want string }{
		{"with its record", string(Append([]byte(plain), by)), plain},
		{"plain", plain, plain},
		{"empty", "", ""},
		{"no object", `[1]`, `[1]`},
		{"rubbish", `{"a":1,"$by":{`, `{"a":1,"$by":{`},
		{"deeper", `{"data":{"a":"b","$by":{"user":"x"}}}`, `{"data":{"a":"b","$by":{"user":"x"}}}`},
		{"not the end", `{"a":1,"$by":{"user":"x"},"b":{}}`, `{"a":1,"$by":{"user":"x"},"b":{}}`},
		{"in a string", `{"a":{"b":",\"$by\":{}"}}`, `{"a":{"b":",\"$by\":{}"}}`},
	} {
		if got := string(Strip([]byte(c.in))); got != c.want {
			t.Errorf("%s: Strip(%s) = %s, want %s", c.name, c.in, got, c.want)
		}
	}
}

// BenchmarkRecord is what a record costs a write, and a read of what another process wrote.
func BenchmarkRecord(b *testing.B) {
	value := []byte(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"default"},"spec":{"containers":[{"name":"c","image":"` + strings.Repeat("x", 2000) + `"}]}}`)
	by := Record{User: "system:node:n1", Time: time.Now().UTC(), After: 123456}
	with := Append(value, by)
	b.Run("Put", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Append(value, by)
		}
	})
	b.Run("Take", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Strip(with)
		}
	})
}
