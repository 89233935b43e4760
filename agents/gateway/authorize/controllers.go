package authorize

import authorizationv1 "k8s.io/api/authorization/v1"

// controllers lets the controllers read metrics, by which they scale, and ask what others may do. Everything else they read and write in
// etcd.
var controllers = &groupRules{
	user: "system:kube-controller-manager",
	rules: Rules{Resources: []authorizationv1.ResourceRule{
		{Verbs: []string{"get", "list"}, APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"pods"}},
		{Verbs: []string{"get", "list"}, APIGroups: []string{"custom.metrics.k8s.io", "external.metrics.k8s.io"}, Resources: []string{"*"}},
		{Verbs: []string{"create"}, APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}},
	}},
}
