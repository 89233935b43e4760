package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
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

// decision is an authorizer's answer.
type decision int

const (
	noOpinion decision = iota // the next authorizer is asked; nobody's opinion is a refusal
	allowed
)

// authorizer decides whether somebody may do something; reason says why not, or why.
type authorizer interface {
	authorize(ctx context.Context, a attributes) (d decision, reason string, err error)
}

// firstOf asks one after another until one allows; the reasons of the others are joined.
type firstOf []authorizer

func (f firstOf) authorize(ctx context.Context, a attributes) (decision, string, error) {
	var reasons []string
	var errs []error
	for _, one := range f {
		d, reason, err := one.authorize(ctx, a)
		if d == allowed {
			return d, reason, nil
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return noOpinion, strings.Join(reasons, "; "), errors.Join(errs...)
}

// masters lets the group system:masters do everything.
type masters struct{}

func (masters) authorize(_ context.Context, a attributes) (decision, string, error) {
	if slices.Contains(a.user.Groups, groupMasters) {
		return allowed, "", nil
	}
	return noOpinion, "", nil
}

// everyone lets anybody read health and version, and whoever is known ask what there is and who he is: what
// Kubernetes grants by the roles system:public-info-viewer, system:discovery and system:basic-user.
type everyone struct{}

func (everyone) authorize(_ context.Context, a attributes) (decision, string, error) {
	read := a.verb == "get" || a.verb == "head"
	if !a.resource && read && anonymousPath(a.path) {
		return allowed, "", nil
	}
	if !slices.Contains(a.user.Groups, groupAuthenticated) {
		return noOpinion, "", nil
	}
	if !a.resource {
		if read && discoveryPath(a.path) {
			return allowed, "", nil
		}
		return noOpinion, "", nil
	}
	if a.verb == "create" && a.subresource == "" {
		switch a.group + "/" + a.plural {
		case "authorization.k8s.io/selfsubjectaccessreviews", "authorization.k8s.io/selfsubjectrulesreviews", "authentication.k8s.io/selfsubjectreviews":
			return allowed, "", nil
		}
	}
	return noOpinion, "", nil
}

func discoveryPath(path string) bool {
	path = strings.TrimSuffix(path, "/")
	switch path {
	case "/api", "/apis", "/openapi", "/openapi/v2", "/openapi/v3", "/version", "/.well-known/openid-configuration", "/openid/v1/jwks":
		return true
	}
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/apis/") || strings.HasPrefix(path, "/openapi/")
}

// attributes are what the request needs permission for. The name is that of the path, or the one that its collection is
// narrowed to.
func (r *request) attributes() attributes {
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

// authorize refuses what the request's user may not do.
func (g *gateway) authorize(r *request) error {
	a := r.attributes()
	d, reason, err := g.may.authorize(r.Context(), a)
	if d == allowed {
		return nil
	}
	return forbidden(a, reason, err)
}

// forbidden words a refusal.
func forbidden(a attributes, reason string, err error) error {
	text := a.refusal()
	switch {
	case err != nil:
		text += ": " + err.Error()
	case reason != "":
		text += ": " + reason
	}
	var gr kschema.GroupResource
	if a.resource {
		gr = kschema.GroupResource{Group: a.group, Resource: a.plural}
	}
	return apierrors.NewForbidden(gr, a.name, errors.New(text))
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
