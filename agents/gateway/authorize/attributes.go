package authorize

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"

	"gantry/agents/gateway/request"
)

// Attributes are what permission is asked for.
type Attributes struct {
	User                   authenticationv1.UserInfo
	Verb                   string
	IsResource             bool // else path
	Group, Version, Plural string
	Subresource            string
	Namespace, Name        string
	Fields                 string // the field selector of a list, watch or deletecollection, which those handlers apply
	Path                   string
}

// AttributesOf is what a request needs permission for. The name is that of the path, or the one that its collection is
// narrowed to.
func AttributesOf(r *request.Request) Attributes {
	a := Attributes{
		User: r.User, Verb: r.Verb, IsResource: r.IsResource, Group: r.Group, Version: r.Version, Plural: r.Plural,
		Subresource: r.Subresource, Namespace: r.Namespace, Name: r.Name, Path: r.Path,
	}
	switch a.Verb {
	case "list", "watch":
		a.Name = r.SelectedName
		a.Fields = r.Query.Get("fieldSelector")
	case "deletecollection":
		a.Fields = r.Query.Get("fieldSelector")
	}
	return a
}

func (a Attributes) refusal() string {
	if !a.IsResource {
		return fmt.Sprintf("User %q cannot %s path %q", a.User.Username, a.Verb, a.Path)
	}
	what := a.Plural
	if a.Subresource != "" {
		what += "/" + a.Subresource
	}
	if a.Namespace != "" {
		return fmt.Sprintf("User %q cannot %s resource %q in API group %q in the namespace %q", a.User.Username, a.Verb, what, a.Group, a.Namespace)
	}
	return fmt.Sprintf("User %q cannot %s resource %q in API group %q at the cluster scope", a.User.Username, a.Verb, what, a.Group)
}
