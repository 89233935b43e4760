package authorize

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"gantry/agents/gateway/userinfo"
)

// discovery lets every authenticated user read what the API has: what Kubernetes grants by the role system:discovery.
var discovery = &groupRules{
	group: userinfo.GroupAuthenticated,
	rules: Rules{Paths: []authorizationv1.NonResourceRule{{
		Verbs: []string{"get"},
		NonResourceURLs: []string{
			"/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/",
		},
	}}},
}

// issuerDiscovery lets every service account read the keys that verify service account tokens: what Kubernetes grants by the role
// system:service-account-issuer-discovery.
var issuerDiscovery = &groupRules{
	group: userinfo.GroupServiceAccounts,
	rules: Rules{Paths: []authorizationv1.NonResourceRule{{
		Verbs:           []string{"get"},
		NonResourceURLs: []string{"/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/"},
	}}},
}
