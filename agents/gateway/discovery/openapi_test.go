package discovery

import (
	"net/http"
	"testing"

	"gantry/agents/gateway/request"
)

func TestFormOfTheOpenAPIDocument(t *testing.T) {
	cases := []struct {
		accept, want string // "": not acceptable
	}{
		{"", request.JSONType},
		{"application/json", request.JSONType},
		{"*/*", request.JSONType},
		{"application/com.github.proto-openapi.spec.v2@v1.0+protobuf", openapiProtoOld}, // kubectl 1.27
		{"application/com.github.proto-openapi.spec.v2.v1.0+protobuf", openapiProtoOld},
		{"application/json;q=0.5,application/com.github.proto-openapi.spec.v2.v1.0+protobuf", openapiProtoOld},
		{"text/html", ""},
	}
	for _, tc := range cases {
		req := &http.Request{Header: http.Header{}}
		if tc.accept != "" {
			req.Header.Set("Accept", tc.accept)
		}
		got, err := openapiKind(req)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("Accept %q: %q, %v; want %q", tc.accept, got, err, tc.want)
		}
	}
}
