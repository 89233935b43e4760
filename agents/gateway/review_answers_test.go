package gateway_test

import (
	"strings"
	"testing"

	"gantry/agents/internal/pki"
)

// TestReviewsAnswerAsKubernetes checks the answers to reviews and bindings that Kubernetes words in a way of its own.
func TestReviewsAnswerAsKubernetes(t *testing.T) {
	c := newCluster(t)
	admin := leafOf(t, c.Admin)
	const (
		authorization = "/apis/authorization.k8s.io/v1/"
		local         = authorization + "namespaces/default/localsubjectaccessreviews"
		self          = authorization + "selfsubjectaccessreviews"
		access        = authorization + "subjectaccessreviews"
		token         = "/apis/authentication.k8s.io/v1/tokenreviews"
		bindings      = "/api/v1/namespaces/default/bindings"
	)
	for _, tt := range []struct {
		name, path, body string
		code             int
		want             string // in the answer
		not              string // not in it
	}{
		{"a foreign token", token, `{"spec":{"token":"x"}}`, 201, `"status":{"user":{},"error":"invalid bearer token"}`, ""},
		{"what the server sets is not taken", token, `{"metadata":{"uid":"a","generation":3,"managedFields":[{}]},"spec":{"token":"x"}}`, 201, `"metadata":{"generation":3}`, ""},
		{"who am I", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{"metadata":{"name":"x"}}`, 201, `"metadata":{"creationTimestamp":"`, `"x"`},
		{"rules", authorization + "selfsubjectrulesreviews", `{"metadata":{"name":"x"},"spec":{"namespace":"y"}}`, 201, `"spec":{}`, `"x"`},
		{"no kind in the message", access, `{"spec":{}}`, 422, `".authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: Invalid value: null: exactly one of`, `"kind":"Sub`},
		{"metadata", self, `{"metadata":{"labels":{"a":"b"}},"spec":{"nonResourceAttributes":{}}}`, 422, `must be empty"`, ""},
		{"metadata but the namespace", local, `{"metadata":{"name":"a","namespace":"default"},"spec":{"user":"u","resourceAttributes":{"namespace":"default"}}}`, 422, `must be empty except for namespace"`, ""},
		{"another namespace", local, `{"spec":{"user":"u","resourceAttributes":{"namespace":"x"}}}`, 422, `spec.resourceAttributes.namespace: Invalid value: \"x\": must match metadata.namespace`, ""},
		{"selectors without requirements", self, `{"spec":{"resourceAttributes":{"labelSelector":{},"fieldSelector":{}}}}`, 422,
			`[spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required, spec.resourceAttributes.labelSelector`, ""},
		{"two kinds of selector", self, `{"spec":{"resourceAttributes":{"labelSelector":{"rawSelector":"a","requirements":[{"key":"a","operator":"Exists"}]}}}}`, 422, `may not specified at the same time as requirements`, ""},
		{"a bad key", self, `{"spec":{"resourceAttributes":{"labelSelector":{"requirements":[{"key":"/","operator":"Exists"}]}}}}`, 422, `labelSelector.requirements[0].key: Invalid value: \"/\"`, ""},
		{"an unknown operator", self, `{"spec":{"resourceAttributes":{"labelSelector":{"requirements":[{"key":"a","operator":"x"}]}}}}`, 201, `"evaluationError":"spec.resourceAttributes.labelSelector ignored due to parse error"`, ""},
		{"one of two", self, `{"spec":{"resourceAttributes":{"fieldSelector":{"requirements":[{"key":"a","operator":"In","values":["b"]},{"key":"a","operator":"Exists"}]}}}}`, 201, `"evaluationError":"spec.resourceAttributes.fieldSelector partially ignored due to parse error"`, ""},
		{"raw", self, `{"spec":{"resourceAttributes":{"fieldSelector":{"rawSelector":"a=b"},"labelSelector":{"rawSelector":"a in"}}}}`, 201, `"evaluationError":"spec.resourceAttributes.labelSelector ignored due to parse error"`, ""},
		{"no target", bindings, `{"metadata":{"name":"p"},"target":{"kind":"Pod"}}`, 500, `"message":"[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"\u003cempty\u003e\", target.name: Required value]","code":500`, "reason"},
		{"no name", bindings, `{"target":{"name":"a"}}`, 400, `"message":"Name parameter required."`, ""},
		{"a bad name", bindings, `{"metadata":{"name":"a/b"},"target":{"name":"a"}}`, 400, `Name parameter invalid: \"a/b\": may not contain '/'`, ""},
		{"no pod", bindings, `{"metadata":{"name":"p"},"target":{"name":"../a"}}`, 404, `pods \"p\" not found`, ""},
	} {
		a := c.ask(admin, "POST", tt.path, tt.body, "Content-Type: application/json")
		if a.Code != tt.code || !strings.Contains(string(a.Body), tt.want) || tt.not != "" && strings.Contains(string(a.Body), tt.not) {
			t.Errorf("%s: got %d %s\nwant %d %s", tt.name, a.Code, a.Body, tt.code, tt.want)
		}
	}
	jane := leafOf(t, c.Pair("jane", pki.Request{CommonName: "jane"}))
	for path, want := range map[string]int{"/healthz": 200, "/readyz/etcd": 403, "/openid/v1/jwks": 403} {
		if a := c.ask(jane, "GET", path, ""); a.Code != want {
			t.Errorf("jane reads %s: %d %s, want %d", path, a.Code, a.Body, want)
		}
	}
}
