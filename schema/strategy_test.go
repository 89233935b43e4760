package schema

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestAppliesNothing(t *testing.T) {
	read := func(text string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatal(err)
		}
		return u
	}
	old := read(`{"metadata":{"name":"a","resourceVersion":"1","labels":{"l":"1"},"managedFields":[{"manager":"a"}]},"spec":{"n":1}}`)
	for _, tt := range []struct {
		text string
		want bool
	}{
		{`{"metadata":{"name":"a","labels":{"l":"1"},"managedFields":[{"manager":"b"}]},"spec":{"n":1}}`, true},
		{`{"metadata":{"name":"a","labels":{"l":"2"}},"spec":{"n":1}}`, false},
		{`{"metadata":{"name":"a","labels":{"l":"1"}},"spec":{"n":2}}`, false},
		{`{"metadata":{"name":"a","labels":{"l":"1"}},"spec":{"n":1},"status":{}}`, false},
	} {
		if got := AppliesNothing(read(tt.text), old); got != tt.want {
			t.Errorf("%s: %v", tt.text, got)
		}
	}
}
