package admit

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// AgentAuthorizer answers for writes that no gateway has authorized: the agent that makes them may do everything, as it writes to etcd by itself.
// It has no opinion about other users.
func AgentAuthorizer(agent *authenticationv1.UserInfo) authorizer.Authorizer {
	return (*agentAuthorizer)(agent)
}

type agentAuthorizer authenticationv1.UserInfo

// Authorize allows what the agent itself asks for.
func (a *agentAuthorizer) Authorize(_ context.Context, asked authorizer.Attributes) (authorizer.Decision, string, error) {
	if who := asked.GetUser(); who != nil && who.GetName() == a.Username {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "the permissions of other users are known to gateways only", nil
}
