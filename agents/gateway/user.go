package gateway

import (
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// Names and groups that mean something to the API.
const (
	groupMasters         = "system:masters"
	groupNodes           = "system:nodes"
	groupAuthenticated   = "system:authenticated"
	groupUnauthenticated = "system:unauthenticated"
	groupServiceAccounts = "system:serviceaccounts"
	userAnonymous        = "system:anonymous"
	prefixNode           = "system:node:"
	prefixServiceAccount = "system:serviceaccount:"
)

// withGroup is u with a group, which it may be in already.
func withGroup(u authenticationv1.UserInfo, group string) authenticationv1.UserInfo {
	if !slices.Contains(u.Groups, group) {
		u.Groups = append(slices.Clone(u.Groups), group)
	}
	return u
}

// nodeOf is the name of the node that a user is; "" for any other user.
func nodeOf(u authenticationv1.UserInfo) string {
	if !slices.Contains(u.Groups, groupNodes) {
		return ""
	}
	return strings.TrimPrefix(u.Username, prefixNode) // a name without the prefix is no node's: see isNode
}

func isNode(u authenticationv1.UserInfo) bool {
	return slices.Contains(u.Groups, groupNodes) && strings.HasPrefix(u.Username, prefixNode) && len(u.Username) > len(prefixNode)
}

// serviceAccountUser is the user name of a service account.
func serviceAccountUser(namespace, name string) string {
	return prefixServiceAccount + namespace + ":" + name
}

// serviceAccountOf takes system:serviceaccount:<namespace>:<name> apart.
func serviceAccountOf(username string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(username, prefixServiceAccount)
	if !ok {
		return "", "", false
	}
	namespace, name, ok = strings.Cut(rest, ":")
	return namespace, name, ok && namespace != "" && name != "" && !strings.Contains(name, ":")
}
