package authorize

import authorizationv1 "k8s.io/api/authorization/v1"

// publicInfoViewer lets every user, also the anonymous one, read health and version: what Kubernetes grants by the role
// system:public-info-viewer.
var publicInfoViewer = &groupRules{
	rules: Rules{Paths: []authorizationv1.NonResourceRule{{
		Verbs:           []string{"get"},
		NonResourceURLs: []string{"/healthz", "/livez", "/readyz", "/version", "/version/"},
	}}},
}
