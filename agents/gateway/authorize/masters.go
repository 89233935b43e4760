package authorize

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"gantry/agents/gateway/userinfo"
)

// masters lets the group system:masters do everything.
var masters = &groupRules{
	group: userinfo.GroupMasters,
	rules: Rules{
		Resources: []authorizationv1.ResourceRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}},
		Paths:     []authorizationv1.NonResourceRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}},
	},
}
