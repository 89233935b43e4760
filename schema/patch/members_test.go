package patch

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gantry/schema/core"
)

// TestNamedMembersAreEnough compares patching only the members that a patch names with patching the whole object.
func TestNamedMembersAreEnough(t *testing.T) {
	spaced := "{ \"kind\" : \"Pod\",\n\t\"metadata\":{\"name\":\"a \\\"}{\" , \"labels\":{\"x\":\"[\"}} ,\"spec\":{\"priority\":1 } ,\"status\" : { } }"
	for _, current := range []string{pod, spaced, `{}`, ` {"a":1}`} {
		for _, patch := range []string{
			`{}`, `{"metadata":{"labels":{"b":null,"c":"}"}}}`, ` { "metadata" : {"annotations":{"x":"\\"}} , "status":{"message":"m"} }`, `{"spec":null}`,
			`{"new":{"a":[1,2,{"b":null}]},"kind":"Pod"}`, `{"$patch":"replace","metadata":{"name":"only"}}`, `{"spec":{"$patch":"delete"}}`,
			`{"met\u0061data":{"name":"escaped"}}`, `{"metadata":{"name":"1"},"metadata":{"name":"2"}}`, `{"$retainKeys":["metadata"],"metadata":{"name":"x"}}`,
		} {
			for _, name := range []string{Merge, Strategic} {
				whole, _ := applier(name)
				want, wantErr := whole(core.Pod.Stored(), []byte(current), []byte(patch))
				got, err := Apply(core.Pod.Stored(), name, []byte(current), []byte(patch))
				if (err != nil) != (wantErr != nil) {
					t.Errorf("%s of %s to %s: %v, want %v", name, patch, current, err, wantErr)
				} else if err == nil {
					if diff := cmp.Diff(decodeJSON(t, string(want)), decodeJSON(t, string(got))); diff != "" {
						t.Errorf("%s of %s to %s makes %s (-whole +parts):\n%s", name, patch, current, got, diff)
					}
				}
			}
		}
	}
}
