package userinfo

import (
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// Names and groups that mean something to the API.
const (
	GroupMasters         = "system:masters"
	GroupNodes           = "system:nodes"
	GroupAuthenticated   = "system:authenticated"
	GroupUnauthenticated = "system:unauthenticated"
	GroupServiceAccounts = "system:serviceaccounts"
	UserAnonymous        = "system:anonymous"
	PrefixNode           = "system:node:"
	prefixServiceAccount = "system:serviceaccount:"
)

// WithGroup is u with a group, which it may be in already.
func WithGroup(u authenticationv1.UserInfo, group string) authenticationv1.UserInfo {
	if !slices.Contains(u.Groups, group) {
		u.Groups = append(slices.Clone(u.Groups), group)
	}
	return u
}

// NodeName is the name of the node that a user is; "" for any other user.
func NodeName(u authenticationv1.UserInfo) string {
	if !slices.Contains(u.Groups, GroupNodes) {
		return ""
	}
	return strings.TrimPrefix(u.Username, PrefixNode) // a name without the prefix is no node's: see isNode
}

func IsNode(u authenticationv1.UserInfo) bool {
	return slices.Contains(u.Groups, GroupNodes) && strings.HasPrefix(u.Username, PrefixNode) && len(u.Username) > len(PrefixNode)
}

// ServiceAccountUser is the user name of a service account.
func ServiceAccountUser(namespace, name string) string {
	return prefixServiceAccount + namespace + ":" + name
}

// ServiceAccountOf parses system:serviceaccount:<namespace>:<name>.
func ServiceAccountOf(username string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(username, prefixServiceAccount)
	if !ok {
		return "", "", false
	}
	namespace, name, ok = strings.Cut(rest, ":")
	return namespace, name, ok && namespace != "" && name != "" && !strings.Contains(name, ":")
}
