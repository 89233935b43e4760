package discovery

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	kversion "k8s.io/apimachinery/pkg/version"

	"gantry/agents/gateway/request"
	"gantry/schema/openapi"
)

// Extension is a version of a group that an extension server serves.
type Extension struct {
	GroupVersion kschema.GroupVersion
	// GroupPriority and VersionPriority are those of its API service: the highest is first.
	GroupPriority, VersionPriority int32
	// Resources are the rows that its server answers with, as far as they are known; Stale tells that they may be old.
	Resources []metav1.APIResource
	Stale     bool
	// OpenAPI is how its server describes it, as far as it is known.
	OpenAPI openapi.Extension
	// Proxy passes a request on to its server.
	Proxy request.Handler
}

// The priorities of groups and versions of custom kinds, as Kubernetes registers them.
const (
	customGroupPriority   = 1000
	customVersionPriority = 100
)

// addExtensions adds what extension servers serve. Where the gateway serves the same version, the server's is meant.
func (d *Documents) addExtensions(all []Extension) {
	for i := range all {
		e := &all[i]
		rows := slices.Clone(e.Resources)
		slices.SortFunc(rows, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
		d.addVersion(e.GroupVersion)
		d.lists[e.GroupVersion] = &metav1.APIResourceList{
			TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: e.GroupVersion.String(), APIResources: rows,
		}
		if d.extensions == nil {
			d.extensions = map[kschema.GroupVersion]*Extension{}
		}
		d.extensions[e.GroupVersion] = e
	}
	d.inOrder = all
}

// addOpenAPI notes which version 3 documents extension servers have. That of a group is a server's where the gateway serves no version of the group.
func (d *Documents) addOpenAPI(resources []*request.Resource) {
	own := map[string]bool{}
	for _, res := range resources {
		own["apis/"+res.Version.Group] = true
	}
	for i := range d.inOrder {
		e := &d.inOrder[i]
		for path := range e.OpenAPI.V3 {
			if path == "apis/"+e.GroupVersion.String() || !own[path] {
				if d.openAPIOf == nil {
					d.openAPIOf = map[string]*Extension{}
				}
				d.openAPIOf[path] = e
			}
		}
	}
}

// groupPriority is by what groups that are not built in are ordered: the highest of their versions'.
func (d *Documents) groupPriority(g group) int32 {
	priority := int32(0)
	for _, v := range g.versions {
		p := int32(customGroupPriority)
		if e := d.extensions[kschema.GroupVersion{Group: g.name, Version: v}]; e != nil {
			p = e.GroupPriority
		}
		priority = max(priority, p)
	}
	return priority
}

// compareVersions orders the versions of a group, the preferred one first.
func (d *Documents) compareVersions(group, a, b string) int {
	priority := func(v string) int32 {
		if e := d.extensions[kschema.GroupVersion{Group: group, Version: v}]; e != nil {
			return e.VersionPriority
		}
		return customVersionPriority
	}
	return cmp.Or(cmp.Compare(priority(b), priority(a)), kversion.CompareKubeAwareVersionStrings(b, a))
}
