package gateway_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gantry/agents/gateway/authorize"
)

// TestInfo compares what is read from a request with Kubernetes': what it is a request for, and of which name.
func TestInfo(t *testing.T) {
	c := newCluster(t)
	const sel = "fieldSelector=metadata.name%3Dx"
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/api/v1/namespaces/a/secrets/x", "get a secrets x  "},
		{"GET", "/api/v1/namespaces/a/secrets/x?watch=1", "get a secrets x  "},
		{"GET", "/api/v1/namespaces/a/secrets/x?watch=1&" + sel, "get a secrets x  "},
		{"GET", "/registry/secrets/a/x?watch=1", "get a secrets x  "},
		{"GET", "/api/v1/nodes/x?watch=true", "get  nodes x  "},
		{"GET", "/registry/minions/x?watch=1", "get  nodes x  "},
		{"HEAD", "/api/v1/nodes/x", "get  nodes x  "},
		{"GET", "/api/v1/namespaces/a/pods/x/log?watch=1", "get a pods x log "},
		{"GET", "/api/v1/namespaces/a/secrets", "list a secrets   "},
		{"GET", "/api/v1/namespaces/a/secrets?watch=0", "list a secrets   "},
		{"GET", "/api/v1/namespaces/a/secrets?watch", "watch a secrets   "},
		{"GET", "/api/v1/namespaces/a/secrets?" + sel, "list a secrets x  metadata.name=x"},
		{"GET", "/api/v1/namespaces/a/secrets?watch=1&" + sel, "watch a secrets x  metadata.name=x"},
		{"GET", "/api/v1/secrets?" + sel, "list  secrets x  metadata.name=x"},
		{"GET", "/registry/secrets/?watch=1&" + sel, "watch  secrets x  metadata.name=x"},
		{"GET", "/api/v1/secrets?fieldSelector=metadata.name%21%3Dx", "list  secrets   metadata.name!=x"},
		{"GET", "/api/v1/secrets?fieldSelector=metadata.name%3D..", "list  secrets   metadata.name=.."},
		{"GET", "/api/v1/secrets?fieldSelector=,%3D", "list  secrets   ,="},
		{"DELETE", "/api/v1/namespaces/a/secrets?" + sel, "deletecollection a secrets   metadata.name=x"},
		{"DELETE", "/api/v1/namespaces/a/secrets/x?" + sel, "delete a secrets x  "},
		{"POST", "/api/v1/namespaces/a/secrets?" + sel, "create a secrets   "},
		{"PUT", "/api/v1/namespaces/a/pods/x/status?watch=1", "update a pods x status "},
		{"PATCH", "/api/v1/namespaces/x", "patch x namespaces x  "},
		{"PATCH", "/registry/namespaces/x", "patch x namespaces x  "},
		{"PUT", "/api/v1/namespaces/x/finalize", "update x namespaces x finalize "},
		{"GET", "/api/v1/namespaces", "list  namespaces   "},
		{"GET", "/api/v1/namespaces//secrets", "list  secrets   "},
		{"GET", "/api/v1/namespaces/a/secrets//x", "list a secrets  x "},
		{"GET", "/api/v1/namespaces/a/secrets/x//", "get a secrets x  "},
		{"GET", "/api/v1/namespaces/a/secrets/x%2Fstatus", "get a secrets x status "},
		{"WATCH", "/api/v1/namespaces/a/secrets/x", " a secrets x  "},
		{"list", "/api/v1/namespaces/a/secrets", " a secrets   "},
	} {
		a := authorize.AttributesOf(c.gateway.Read(httptest.NewRequest(tt.method, tt.path, nil)))
		got := fmt.Sprintf("%s %s %s %s %s %s", a.Verb, a.Namespace, a.Plural, a.Name, a.Subresource, a.Fields)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.method, tt.path, diff)
		}
	}
}
