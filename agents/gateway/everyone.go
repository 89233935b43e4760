package gateway

import (
	"context"
	"slices"
	"strings"
)

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

// anonymousPath tells what anybody may read: health, and the version as Kubernetes' public-info-viewer may.
func anonymousPath(path string) bool {
	return isHealth(path) || path == "/version" || path == "/version/"
}

// isHealth tells the paths that anybody may read.
func isHealth(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "healthz" || first == "livez" || first == "readyz"
}
