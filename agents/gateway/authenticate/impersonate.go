package authenticate

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
)

// impersonate makes the request another user's where its headers ask for that and its user may.
func (n *Authenticator) impersonate(r *request.Request) error {
	if !mentionsImpersonation(r.Header) {
		return nil
	}
	wanted, asked, err := impersonated(r.Header)
	if err != nil || !asked {
		return err
	}
	if wanted, err = n.permitted(r, wanted); err != nil {
		return err
	}
	n.Log.Info("request impersonated", "name", wanted.Username, "by", r.User.Username, "path", r.Path)
	r.User = wanted
	r.Header = r.Header.Clone()
	for name := range r.Header {
		if strings.HasPrefix(name, "Impersonate-") {
			r.Header.Del(name) // a kubelet that the request is passed on to does not get them
		}
	}
	return nil
}

// mentionsImpersonation tells whether a header of that family is there.
func mentionsImpersonation(h http.Header) bool {
	for name := range h {
		if len(name) > len("Impersonate-") && strings.EqualFold(name[:len("Impersonate-")], "Impersonate-") {
			return true
		}
	}
	return false
}

// impersonated reads the headers Impersonate-User, -Uid, -Group and -Extra-<key>.
func impersonated(h http.Header) (user authenticationv1.UserInfo, asked bool, err error) {
	user.Username, user.UID = h.Get(authenticationv1.ImpersonateUserHeader), h.Get(authenticationv1.ImpersonateUIDHeader)
	user.Groups = slices.Clone(h.Values(authenticationv1.ImpersonateGroupHeader))
	for name, values := range h {
		if key, ok := strings.CutPrefix(strings.ToLower(name), strings.ToLower(authenticationv1.ImpersonateUserExtraHeaderPrefix)); ok {
			if plain, err := url.PathUnescape(key); err == nil {
				key = plain
			}
			if user.Extra == nil {
				user.Extra = map[string]authenticationv1.ExtraValue{}
			}
			user.Extra[key] = values
		}
	}
	if user.Username == "" {
		if len(user.Groups) > 0 || len(user.Extra) > 0 || user.UID != "" {
			return user, true, apierrors.NewBadRequest(fmt.Sprintf("requested &user.DefaultInfo{Name:%q, UID:%q, Groups:%#v, Extra:%#v} without impersonating a user name",
				user.Username, user.UID, user.Groups, plainExtra(user.Extra)))
		}
		return user, false, nil
	}
	return user, true, nil
}

// withUsualGroups is a user with the groups that it has without being asked for: those of a service account where none are named, and that of
// the authenticated or the anonymous.
func withUsualGroups(user authenticationv1.UserInfo) authenticationv1.UserInfo {
	if namespace, _, ok := userinfo.ServiceAccountOf(user.Username); ok && len(user.Groups) == 0 {
		user.Groups = []string{userinfo.GroupServiceAccounts, userinfo.GroupServiceAccounts + ":" + namespace}
	}
	switch {
	case user.Username == userinfo.UserAnonymous:
		return userinfo.WithGroup(user, userinfo.GroupUnauthenticated)
	case slices.Contains(user.Groups, userinfo.GroupUnauthenticated):
		return user
	}
	return userinfo.WithGroup(user, userinfo.GroupAuthenticated)
}

// plainExtra is extra as Kubernetes' text shows it.
func plainExtra(extra map[string]authenticationv1.ExtraValue) (plain map[string][]string) {
	for key, values := range extra {
		if plain == nil {
			plain = map[string][]string{}
		}
		plain[key] = values
	}
	return plain
}

// impersonation is what impersonations have in common, in a mode; "": in none, by the verb impersonate.
func impersonation(by authenticationv1.UserInfo, mode string) authorize.Attributes {
	a := authorize.Attributes{User: by, Verb: "impersonate", IsResource: true}
	if mode != "" {
		a.Verb, a.Group, a.Version = "impersonate:"+mode, authenticationv1.GroupName, "v1"
	}
	return a
}

// impersonations are the permissions that impersonating wanted needs, in a mode.
func impersonations(by, wanted authenticationv1.UserInfo, mode string) []authorize.Attributes {
	base := impersonation(by, mode)
	user := base
	user.Plural, user.Name = "users", wanted.Username
	if node, ok := nodeOf(wanted.Username); ok && mode != "" {
		user.Plural, user.Name = "nodes", node
		if mode == associatedNode {
			user.Name = "*"
		}
	}
	if namespace, name, ok := userinfo.ServiceAccountOf(wanted.Username); ok {
		user.Plural, user.Namespace, user.Name = "serviceaccounts", namespace, name
	}
	all := []authorize.Attributes{user}
	for _, group := range wanted.Groups {
		a := base
		a.Plural, a.Name = "groups", group
		all = append(all, a)
	}
	base.Group, base.Version = authenticationv1.GroupName, "v1"
	if wanted.UID != "" {
		a := base
		a.Plural, a.Name = "uids", wanted.UID
		all = append(all, a)
	}
	for key, values := range wanted.Extra {
		for _, value := range values {
			a := base
			a.Plural, a.Subresource, a.Name = "userextras", key, value
			all = append(all, a)
		}
	}
	return all
}
