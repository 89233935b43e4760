package authorize

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"gantry/agents/gateway/userinfo"
)

// discovery lets every authenticated user read what the API has, and the keys that verify service account tokens: what
// Kubernetes grants by the roles system:discovery and system:service-account-issuer-discovery.
var discovery = &groupRules{
	group: userinfo.GroupAuthenticated,
	rules: Rules{Paths: []authorizationv1.NonResourceRule{
		{Verbs: []string{"get"}, NonResourceURLs: []string{"/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"}},
		{Verbs: []string{"get"}, NonResourceURLs: []string{"/.well-known/openid-configuration", "/openid/v1/jwks"}},
	}},
}
