package gateway

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// attributes are what permission is asked for.
type attributes struct {
	user                   authenticationv1.UserInfo
	verb                   string
	resource               bool // else path
	group, version, plural string
	subresource            string
	namespace, name        string
	fields                 string // the field selector of a list, watch or deletecollection, which those handlers apply
	path                   string
}

// attributes are what the request needs permission for. The name is that of the path, or the one that its collection is
// narrowed to.
func attributesOf(r *request) attributes {
	a := attributes{
		user: r.user, verb: r.verb, resource: r.resource, group: r.group, version: r.version, plural: r.plural,
		subresource: r.subresource, namespace: r.namespace, name: r.name, path: r.path,
	}
	switch a.verb {
	case "list", "watch":
		a.name = r.selected
		a.fields = r.query.Get("fieldSelector")
	case "deletecollection":
		a.fields = r.query.Get("fieldSelector")
	}
	return a
}

func (a attributes) refusal() string {
	if !a.resource {
		return fmt.Sprintf("User %q cannot %s path %q", a.user.Username, a.verb, a.path)
	}
	what := a.plural
	if a.subresource != "" {
		what += "/" + a.subresource
	}
	if a.namespace != "" {
		return fmt.Sprintf("User %q cannot %s resource %q in API group %q in the namespace %q", a.user.Username, a.verb, what, a.group, a.namespace)
	}
	return fmt.Sprintf("User %q cannot %s resource %q in API group %q at the cluster scope", a.user.Username, a.verb, what, a.group)
}
