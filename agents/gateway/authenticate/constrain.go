package authenticate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
)

// Constrained impersonation is KEP-5284, which Kubernetes 1.36 has on: to do something as another user takes the permission of
// impersonate-on:<mode>:<verb> on what is done, and of impersonate:<mode> on the user, each group, the uid and each extra value, all in
// authentication.k8s.io. The verb impersonate, which allows everything as that user, is asked for last.

// mode is a kind of users that are impersonated.
type mode struct {
	name string
	// fits tells whether the mode is for a user.
	fits func(by, wanted authenticationv1.UserInfo) bool
}

const associatedNode = "associated-node"

var modes = []mode{
	{associatedNode, func(by, wanted authenticationv1.UserInfo) bool { // a pod's account is the node that the pod runs on
		node, ok := nodeOf(wanted.Username)
		_, _, isAccount := userinfo.ServiceAccountOf(by.Username)
		return ok && isAccount && isPlain(wanted) && slices.Equal(by.Extra["authentication.kubernetes.io/node-name"], authenticationv1.ExtraValue{node})
	}},
	{"arbitrary-node", func(_, wanted authenticationv1.UserInfo) bool {
		_, ok := nodeOf(wanted.Username)
		return ok && isPlain(wanted)
	}},
	{"serviceaccount", func(_, wanted authenticationv1.UserInfo) bool {
		_, _, ok := userinfo.ServiceAccountOf(wanted.Username)
		return ok && isPlain(wanted)
	}},
	{"user-info", func(_, wanted authenticationv1.UserInfo) bool {
		_, isNode := nodeOf(wanted.Username)
		_, _, isAccount := userinfo.ServiceAccountOf(wanted.Username)
		return !isNode && !isAccount
	}},
}

// isPlain tells whether nothing of a user but the name is given.
func isPlain(u authenticationv1.UserInfo) bool {
	return u.UID == "" && len(u.Groups) == 0 && len(u.Extra) == 0
}

// nodeOf is the name of the node that a user name is of.
func nodeOf(username string) (string, bool) {
	name, ok := strings.CutPrefix(username, userinfo.PrefixNode)
	return name, ok && len(validation.NameIsDNSSubdomain(name, false)) == 0
}

// permitted returns the user that a request's user may be for it, of all that wanted says. The error is the first mode's.
func (n *Authenticator) permitted(r *request.Request, wanted authenticationv1.UserInfo) (authenticationv1.UserInfo, error) {
	var first error
	for _, m := range modes {
		if !m.fits(r.User, wanted) {
			continue
		}
		err := n.requireMode(r, m.name, wanted)
		if err == nil {
			if _, isNode := nodeOf(wanted.Username); isNode {
				wanted.Groups = []string{userinfo.GroupNodes}
			}
			return withUsualGroups(wanted), nil
		}
		if first == nil {
			first = err
		}
	}
	err := n.require(r.Context(), impersonations(r.User, wanted, ""))
	if err != nil && first != nil {
		err = first
	}
	return withUsualGroups(wanted), err
}

// requireMode refuses unless a request's user may do what it asks for as wanted in a mode.
func (n *Authenticator) requireMode(r *request.Request, mode string, wanted authenticationv1.UserInfo) error {
	on := authorize.AttributesOf(r)
	if mode == associatedNode { // nothing of the decision depends on which node it is
		keys := authenticationv1.ExtraValue(slices.Sorted(maps.Keys(on.User.Extra)))
		on.User.Extra = map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/associated-node-keys": keys}
	}
	by := on.User
	on.Verb = fmt.Sprintf("impersonate-on:%s:%s", mode, on.Verb)
	if err := authorize.Require(r.Context(), n.Authorizer, on); err != nil {
		return err
	}
	if err := checkConstrained(by, wanted, mode); err != nil {
		return err
	}
	return n.require(r.Context(), impersonations(by, wanted, mode))
}

func (n *Authenticator) require(ctx context.Context, all []authorize.Attributes) error {
	for _, a := range all {
		if err := authorize.Require(ctx, n.Authorizer, a); err != nil {
			return err
		}
	}
	return nil
}

// checkConstrained refuses what no mode allows: the group that may do everything, and values that no authenticator gives.
func checkConstrained(by, wanted authenticationv1.UserInfo, mode string) error {
	a := impersonation(by, mode)
	a.Plural = "groups"
	for _, group := range wanted.Groups {
		switch a.Name = group; group {
		case "":
			return authorize.Forbidden(a, "impersonating the empty string group is not allowed")
		case userinfo.GroupMasters:
			return authorize.Forbidden(a, "impersonating the system:masters group is not allowed")
		}
	}
	a.Plural, a.Name = "userextras", ""
	for key, values := range wanted.Extra {
		switch err := utilvalidation.IsDomainPrefixedPath(field.NewPath("extra", "key"), key).ToAggregate(); {
		case key == "":
			return authorize.Forbidden(a, "impersonating the empty string key in extra is not allowed")
		case err != nil:
			return authorize.Forbidden(a, fmt.Sprintf("impersonating an invalid key in extra is not allowed: %v", err))
		case len(values) == 0:
			return authorize.Forbidden(a, "impersonating empty values in extra is not allowed")
		case slices.Contains(values, ""):
			return authorize.Forbidden(a, "impersonating the empty string value in extra is not allowed")
		}
	}
	return nil
}
