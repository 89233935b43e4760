package authorize

import (
	"context"
	"slices"
	"strings"

	"gantry/agents/gateway/userinfo"
)

// Everyone lets anybody read health and version, and whoever is known ask what there is and who he is: what
// Kubernetes grants by the roles system:public-info-viewer, system:discovery and system:basic-user.
type Everyone struct{}

func (Everyone) Authorize(_ context.Context, a Attributes) (Decision, string, error) {
	read := a.Verb == "get" || a.Verb == "head"
	if !a.IsResource && read && AnonymousPath(a.path) {
		return Allowed, "", nil
	}
	if !slices.Contains(a.User.Groups, userinfo.GroupAuthenticated) {
		return NoOpinion, "", nil
	}
	if !a.IsResource {
		if read && discoveryPath(a.path) {
			return Allowed, "", nil
		}
		return NoOpinion, "", nil
	}
	if a.Verb == "create" && a.Subresource == "" {
		switch a.Group + "/" + a.Plural {
		case "authorization.k8s.io/selfsubjectaccessreviews", "authorization.k8s.io/selfsubjectrulesreviews", "authentication.k8s.io/selfsubjectreviews":
			return Allowed, "", nil
		}
	}
	return NoOpinion, "", nil
}

func discoveryPath(path string) bool {
	path = strings.TrimSuffix(path, "/")
	switch path {
	case "/api", "/apis", "/openapi", "/openapi/v2", "/openapi/v3", "/version", "/.well-known/openid-configuration", "/openid/v1/jwks":
		return true
	}
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/apis/") || strings.HasPrefix(path, "/openapi/")
}

// AnonymousPath tells what anybody may read: health, and the version as Kubernetes' public-info-viewer may.
func AnonymousPath(path string) bool {
	return IsHealth(path) || path == "/version" || path == "/version/"
}

// IsHealth tells the paths that anybody may read.
func IsHealth(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "healthz" || first == "livez" || first == "readyz"
}
