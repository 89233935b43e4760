package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// impersonate makes the request another user's where its headers ask for that and its user may.
func (n *authenticator) impersonate(r *request) error {
	if !mentionsImpersonation(r.Header) {
		return nil
	}
	wanted, asked, err := impersonated(r.Header)
	if err != nil || !asked {
		return err
	}
	for _, a := range impersonations(r.user, wanted) {
		if err := require(r.Context(), n.may, a); err != nil {
			return err
		}
	}
	n.log.Info("request impersonated", "name", wanted.Username, "by", r.user.Username, "path", r.path)
	r.user = wanted
	r.Header = r.Header.Clone()
	for name := range r.Header {
		if strings.HasPrefix(name, "Impersonate-") {
			r.Header.Del(name) // nothing behind the gateway may see them as its own
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
	if namespace, _, ok := serviceAccountOf(user.Username); ok && len(user.Groups) == 0 {
		user.Groups = []string{groupServiceAccounts, groupServiceAccounts + ":" + namespace}
	}
	if user.Username == userAnonymous {
		return withGroup(user, groupUnauthenticated), true, nil
	}
	return withGroup(user, groupAuthenticated), true, nil
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

// impersonations are the permissions that taking wanted's place needs.
func impersonations(by, wanted authenticationv1.UserInfo) []attributes {
	base := attributes{user: by, verb: "impersonate", resource: true}
	user := base
	user.plural, user.name = "users", wanted.Username
	if namespace, name, ok := serviceAccountOf(wanted.Username); ok {
		user.plural, user.namespace, user.name = "serviceaccounts", namespace, name
	}
	all := []attributes{user}
	for _, group := range wanted.Groups {
		a := base
		a.plural, a.name = "groups", group
		all = append(all, a)
	}
	if wanted.UID != "" {
		a := base
		a.group, a.version, a.plural, a.name = "authentication.k8s.io", "v1", "uids", wanted.UID
		all = append(all, a)
	}
	for key, values := range wanted.Extra {
		for _, value := range values {
			a := base
			a.group, a.version, a.plural, a.subresource, a.name = "authentication.k8s.io", "v1", "userextras", key, value
			all = append(all, a)
		}
	}
	return all
}
