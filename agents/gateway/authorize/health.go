package authorize

import authorizationv1 "k8s.io/api/authorization/v1"

// health lets every user, also the anonymous one, read whether the gateway is healthy: whoever restarts it asks without a certificate, and
// when nothing can be read from etcd.
var health = &groupRules{
	rules: Rules{Paths: []authorizationv1.NonResourceRule{{
		Verbs:           []string{"get", "head"},
		NonResourceURLs: []string{"/healthz", "/livez", "/readyz"},
	}}},
}
