package gateway_test

import (
	"testing"

	"gantry/agents/gateway/gatewaytest"
)

// TestHeads: where Kubernetes' router is asked there is no HEAD; a key's value has one. An audit id is the client's.
func TestHeads(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(1, "x")
	for _, tt := range []struct {
		path string
		code int
	}{
		{mapsPath, 405}, {mapsPath + "/m000", 405}, {"/version", 405}, {"/api", 405}, {"/api/v1", 405}, {"/apis/apps/v1", 405},
		{"/apis", 200}, {"/apis/apps", 200}, {"/healthz", 200}, {"/openapi/v2", 200}, {"/registry/configmaps/default/m000", 200},
	} {
		a := c.As("HEAD", tt.path, "", "Audit-Id: mine")
		if a.Code != tt.code || a.Body != "" || a.Header.Get("Audit-Id") != "mine" {
			t.Errorf("%s: %d %q, audit id %q, want %d", tt.path, a.Code, a.Body, a.Header.Get("Audit-Id"), tt.code)
		}
	}
	if a := c.As("POST", "/api/v1/namespaces?dryRun=All", `{"metadata":{"name":"n","namespace":"other"}}`); a.Code != 201 {
		t.Errorf("a namespace in a namespace: %d %s", a.Code, a.Body)
	}
}
