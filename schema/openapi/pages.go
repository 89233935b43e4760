package openapi

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// documentOf is where the version 3 document is that has a path: "api/v1", "apis/apps/v1", "apis/apps", "version".
func documentOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch parts[0] {
	case "api":
		return strings.Join(parts[:min(2, len(parts))], "/")
	case "apis":
		return strings.Join(parts[:min(3, len(parts))], "/")
	}
	return strings.Join(parts, "/")
}

// pagesOf are the paths that are not of resources but tell about them, the server and its keys.
func pagesOf(resources []Resource) map[string][]operation {
	all := map[string][]operation{
		"/version/": {page("getCodeVersion", "version", "get the version information for this server", objectBodies[:1], typeModel[version.Info]())},
		"/openid/v1/jwks/": {keys("getServiceAccountIssuerOpenIDKeyset", "openid", "application/jwk-set+json",
			"get service account issuer OpenID JSON Web Key Set (contains public token verification keys)")},
		"/.well-known/openid-configuration/": {keys("getServiceAccountIssuerOpenIDConfiguration", "WellKnown", "application/json",
			"get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'")},
		"/api/":  {page("getCoreAPIVersions", "core", "get available API versions", objectBodies, typeModel[metav1.APIVersions]())},
		"/apis/": {page("getAPIVersions", "apis", "get available API versions", objectBodies, typeModel[metav1.APIGroupList]())},
	}
	for _, r := range resources {
		word := groupWord(r.Version.Group)
		if r.Version.IsUnstructured() {
			continue // Kubernetes describes no such pages
		}
		all["/"+GroupPath(r.Version)+"/"] = []operation{page("get"+title(word)+title(r.Version.Version)+"APIResources", word+"_"+r.Version.Version,
			"get available resources", objectBodies, typeModel[metav1.APIResourceList]())}
		if r.Version.Group != "" {
			all["/apis/"+r.Version.Group+"/"] = []operation{page("get"+title(word)+"APIGroup", word, "get information of a group", objectBodies, typeModel[metav1.APIGroup]())}
		}
	}
	return all
}

func page(id, tag, text string, bodies []string, returns model) operation {
	return operation{method: "get", id: id, tag: tag, text: text, consumes: bodies, produces: bodies, returns: returns}
}

// keys is what others verify the tokens of service accounts by.
func keys(id, tag, body, text string) operation {
	return operation{method: "get", id: id, tag: tag, text: text, produces: []string{body}}
}
