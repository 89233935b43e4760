package kinds

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kjson "sigs.k8s.io/json"

	"gantry/schema"
	"gantry/schema/kinds/kindstest"
)

// same checks that Decode and Unmarshal make of data what sigs.k8s.io/json makes of it, warnings and errors included.
func same(t *testing.T, k *schema.Kind, data []byte) {
	t.Helper()
	want := k.New()
	strict, wantErr := kjson.UnmarshalStrict(data, want)
	if got, err := schema.Unmarshal(k.Stored(), data); (err != nil) != (kjson.UnmarshalCaseSensitivePreserveInts(data, k.New()) != nil) || err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("Unmarshal of a %s: %v\n%s\n(-want +got):\n%s", k.Kind, err, data, cmp.Diff(want, got))
	}
	got, warnings, err := schema.Decode(k.Stored(), data)
	if wantErr != nil {
		if err == nil || err.Error() != wantErr.Error() {
			t.Errorf("Decode of a %s: %v, want %v\n%s", k.Kind, err, wantErr, data)
		}
		return
	}
	if err != nil {
		return // of another kind, say: Decode's own
	}
	if k.SetTypeMeta(want); !reflect.DeepEqual(got, want) || len(warnings) != len(strict) {
		t.Errorf("Decode of a %s: %v, want %v\n%s\n(-want +got):\n%s", k.Kind, warnings, strict, data, cmp.Diff(want, got))
	}
}

func TestPlainObjectsAreDecodedAlike(t *testing.T) {
	for _, k := range BuiltIn().All {
		f := kindstest.Filler(rand.NewSource(3))
		for i := range 16 {
			obj := k.New()
			f.NilChance([]float64{0, .3, .7, .95}[i%4]).NumElements(0, 1+i%3).Fill(obj)
			k.SetTypeMeta(obj)
			data, err := json.Marshal(obj)
			if err != nil {
				continue // a random Quantity, say, that has no text
			}
			same(t, k, data)
			for _, edit := range []func(string) string{
				func(s string) string { return strings.ReplaceAll(s, `"name"`, `"Name"`) },
				func(s string) string { return strings.Replace(s, `:"`, `:null,"x":"`, 1+i%3) },
				func(s string) string { return strings.Replace(s, `{`, `{"kind":"x",`, 1) },
				func(s string) string { return strings.ReplaceAll(s, `[`, `[null,`) },
				func(s string) string { return strings.ReplaceAll(s, `:{`, `:null,"x":{`) },
				func(s string) string { return strings.ReplaceAll(s, `true`, `null`) },
				func(s string) string { return strings.ReplaceAll(s, `":1`, `":1.0e0,"x":1`) },
				func(s string) string { return s[:len(s)-1-i%len(s)/2] },
				func(s string) string { return s + "x" },
				func(s string) string { return strings.ReplaceAll(s, `:"`, `:"\ud800`) },
				func(s string) string { return strings.ReplaceAll(s, `:"`, ":\"\xff") },
			} {
				same(t, k, []byte(edit(string(data))))
			}
		}
	}
}
