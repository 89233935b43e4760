package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSetResourceVersion(t *testing.T) {
	for in, want := range map[string]string{
		`{"kind":"K","apiVersion":"v","metadata":{"name":"a","uid":"u","creationTimestamp":null}}`:                            `{"kind":"K","apiVersion":"v","metadata":{"name":"a","uid":"u","resourceVersion":"7","creationTimestamp":null}}`,
		`{"kind":"K","apiVersion":"v","metadata":{"name":"a","uid":"u"},"spec":{}}`:                                           `{"kind":"K","apiVersion":"v","metadata":{"name":"a","uid":"u","resourceVersion":"7"},"spec":{}}`,
		`{"kind":"K","apiVersion":"v","metadata":{"name":"a","resourceVersion":"123","generation":1}}`:                        `{"kind":"K","apiVersion":"v","metadata":{"name":"a","resourceVersion":"7","generation":1}}`,
		`{"kind":"K","apiVersion":"v","metadata":{"name":"a","resourceVersion":"123"}}`:                                       `{"kind":"K","apiVersion":"v","metadata":{"name":"a","resourceVersion":"7"}}`,
		`{"kind":"K","apiVersion":"v","metadata":{}}`:                                                                         `{"kind":"K","apiVersion":"v","metadata":{"resourceVersion":"7"}}`,
		`{"kind":"K","apiVersion":"v","metadata":{"labels":{"resourceVersion":"1"}}}`:                                         `{"kind":"K","apiVersion":"v","metadata":{"resourceVersion":"7","labels":{"resourceVersion":"1"}}}`,
		`{"kind":"K","apiVersion":"v","metadata":{"name":"q\"\\","generateName":"g-","namespace":"n","uid":"u","labels":{}}}`: `{"kind":"K","apiVersion":"v","metadata":{"name":"q\"\\","generateName":"g-","namespace":"n","uid":"u","resourceVersion":"7","labels":{}}}`,
	} {
		got, ok := SetResourceVersion([]byte(in), 7)
		if !ok || string(got) != want || !json.Valid(got) {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if !strings.Contains(in, `"resourceVersion":"123"`) && !EqualWithoutResourceVersion([]byte(in), got) {
			t.Errorf("%s is not the same as %s", in, got)
		}
		if other := strings.Replace(in, `"kind":"K"`, `"kind":"k"`, 1); EqualWithoutResourceVersion([]byte(other), got) {
			t.Errorf("%s is the same as %s", other, got)
		}
	}
	for _, in := range []string{`{}`, `{"kind":"K","spec":{"x":1,"metadata":{}}}`, `{"kind":"K","metadata":{"name":"a`} {
		if got, ok := SetResourceVersion([]byte(in), 7); ok && !json.Valid(got) {
			t.Errorf("%s became %s", in, got)
		}
	}
}
