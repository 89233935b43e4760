package authorize

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"gantry/agents/gateway/userinfo"
)

// basicUser lets every authenticated user ask who it is and what it may do: what Kubernetes grants by the role
// system:basic-user.
var basicUser = &groupRules{
	group: userinfo.GroupAuthenticated,
	rules: Rules{Resources: []authorizationv1.ResourceRule{
		{Verbs: []string{"create"}, APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"selfsubjectaccessreviews", "selfsubjectrulesreviews"}},
		{Verbs: []string{"create"}, APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"selfsubjectreviews"}},
	}},
}
