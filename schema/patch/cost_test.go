package patch

import (
	"fmt"
	"strings"
	"testing"

	"gantry/schema/core"
	"gantry/schema/internal/cost"
)

// TestCostIsInProportion applies patches of every type whose work could grow as the square of their size.
func TestCostIsInProportion(t *testing.T) {
	list := func(n int, format string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return strings.Join(out, ",")
	}
	pod := func(field string) string {
		return `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"` + field + `}]}}`
	}
	inContainer := func(fields string) string { return `{"spec":{"containers":[{"name":"c",` + fields + `}]}}` }
	object := func(members string) string { return `{"data":{` + members + `}}` }
	for _, tt := range []struct {
		name, contentType string
		make              func(n int) (current, patch string)
	}{
		{"members of a merge patch", Merge, func(n int) (string, string) {
			return `{` + list(4*n, `"a%d":1`) + `}`, `{` + list(4*n, `"b%d":1`) + `}`
		}},
		{"members of an object below", Merge, func(n int) (string, string) {
			return object(list(4*n, `"a%d":"1"`)), object(list(4*n, `"a%d":"2"`))
		}},
		{"elements with a merge key", Strategic, func(n int) (string, string) {
			return pod(`,"env":[` + list(n, `{"name":"a%d","value":"1"}`) + `]`), inContainer(`"env":[` + list(n, `{"name":"a%d","value":"2"}`) + `]`)
		}},
		{"new elements with a merge key", Strategic, func(n int) (string, string) {
			return pod(`,"env":[` + list(n, `{"name":"a%d","value":"1"}`) + `]`), inContainer(`"env":[` + list(n, `{"name":"b%d","value":"2"}`) + `]`)
		}},
		{"elements to be deleted", Strategic, func(n int) (string, string) {
			return pod(`,"env":[` + list(n, `{"name":"a%d","value":"1"}`) + `]`), inContainer(`"env":[` + list(n, `{"name":"a%d","$patch":"delete"}`) + `]`)
		}},
		{"elements in an order", Strategic, func(n int) (string, string) {
			env := list(n, `{"name":"a%d","value":"1"}`)
			return pod(`,"env":[` + env + `]`), inContainer(`"env":[` + env + `],"$setElementOrder/env":[` + list(n, `{"name":"a%d"}`) + `]`)
		}},
		{"texts of a merged list", Strategic, func(n int) (string, string) {
			return `{"metadata":{"finalizers":[` + list(4*n, `"a%d"`) + `]}}`, `{"metadata":{"finalizers":[` + list(4*n, `"b%d"`) + `]}}`
		}},
		{"texts to be deleted", Strategic, func(n int) (string, string) {
			return `{"metadata":{"finalizers":[` + list(4*n, `"a%d"`) + `]}}`, `{"metadata":{"$deleteFromPrimitiveList/finalizers":[` + list(4*n, `"a%d"`) + `]}}`
		}},
		{"inserts at a list's start", JSON, func(n int) (string, string) {
			return `{"l":[` + list(20*n, `%d`) + `]}`, `[` + list(n, `{"op":"add","path":"/l/0","value":%d}`) + `]`
		}},
		{"removals from a list's start", JSON, func(n int) (string, string) {
			return `{"l":[` + list(20*n, `%d`) + `]}`, `[` + strings.Repeat(`{"op":"remove","path":"/l/0"},`, n) + `{"op":"test","path":"/l/-1","value":` + fmt.Sprint(20*n-1) + `}]`
		}},
		{"removals of members", JSON, func(n int) (string, string) {
			return object(list(8*n, `"a%d":"1"`)), `[` + list(n, `{"op":"remove","path":"/data/a%d"}`) + `]`
		}},
		{"new members", JSON, func(n int) (string, string) {
			return object(list(8*n, `"a%d":"1"`)), `[` + list(n, `{"op":"add","path":"/data/b%d","value":""}`) + `]`
		}},
		{"tests beside a long text", JSON, func(n int) (string, string) {
			return object(`"long":"` + strings.Repeat("x", 100*n) + `","a":"1"`), `[` + strings.Repeat(`{"op":"test","path":"/data/a","value":"1"},`, n) + `{"op":"remove","path":"/data/a"}]`
		}},
		{"copies of small values", JSON, func(n int) (string, string) {
			return `{"l":[` + list(20*n, `%d`) + `]}`, `[` + list(n, `{"op":"copy","from":"/l/%d","path":"/l/7"}`) + `]`
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cost.InProportion(t, func(n int) func() {
				current, patch := tt.make(n)
				return func() {
					if _, err := Apply(core.Pod.Stored(), tt.contentType, []byte(current), []byte(patch)); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}
