package encode

import "testing"

func TestMetadataOf(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"as the cache holds it", `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":{"x":"}\"{"}},"spec":{}}`, `{"name":"a","labels":{"x":"}\"{"}}`},
		{"after something nested", `{"spec":{"metadata":{"name":"b"}},"metadata":{"name":"a"}}`, `{"name":"a"}`},
		{"with spaces", `{ "metadata" : {"name":"a"} }`, `{"name":"a"}`},
		{"none", `{"kind":"Pod"}`, `{}`},
	} {
		if got, err := metadataOf([]byte(tt.in)); err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s %v, want %s", tt.name, got, err, tt.want)
		}
	}
}
