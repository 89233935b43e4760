package discovery

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	kversion "k8s.io/apimachinery/pkg/version"

	"gantry/agents/gateway/request"
	"gantry/schema"
	"gantry/schema/openapi"
)

// Documents describe the API itself, as it is with some resources.
type Documents struct {
	groups []group // in the order of compareGroups
	lists  map[kschema.GroupVersion]*metav1.APIResourceList
	custom map[kschema.GroupVersionResource]bool // the resources of custom kinds
	// extensions are those of lists that extension servers serve.
	extensions map[kschema.GroupVersion]*Extension
	inOrder    []Extension           // all of them
	openAPIOf  map[string]*Extension // by the paths of their version 3 documents
	cache      *Cache
	described  func() []openapi.Resource
	byPath     func() map[string][]openapi.Resource // see the function
	paths      func() []string                      // of the version 3 documents, sorted
	version    kversion.Info
	// advertised is where others reach this gateway: "10.0.0.1:6443".
	advertised func() netip.AddrPort
	// core and others are the aggregated documents of /api and /apis.
	core, others func() (document, error)
}

// New describes resources and what extension servers serve. cache holds what was made for others: what a group is like is made anew where its
// resources have changed.
func New(resources []*request.Resource, cache *Cache, advertised func() netip.AddrPort, version kversion.Info, extensions []Extension) *Documents {
	d := &Documents{cache: cache, advertised: advertised, version: version, lists: map[kschema.GroupVersion]*metav1.APIResourceList{},
		custom: map[kschema.GroupVersionResource]bool{}}
	d.described = sync.OnceValue(func() []openapi.Resource {
		return describeAll(slices.DeleteFunc(slices.Clone(resources), func(r *request.Resource) bool { return d.extensions[r.Version.GV()] != nil }))
	})
	d.byPath = sync.OnceValue(func() map[string][]openapi.Resource { return byPath(d.described()) })
	d.paths = sync.OnceValue(func() []string { return openapi.V3Paths(d.described()) })
	d.core = sync.OnceValues(func() (document, error) { return d.aggregatedDocument(isCore) })
	d.others = sync.OnceValues(func() (document, error) { return d.aggregatedDocument(isOther) })
	for _, g := range cache.groupsOf(resources) {
		d.groups = append(d.groups, group{g.name, slices.Clone(g.versions), g})
		for version, l := range g.lists {
			d.lists[kschema.GroupVersion{Group: g.name, Version: version}] = l
		}
	}
	for _, res := range resources {
		if res.Version.IsUnstructured() {
			d.custom[res.Version.GV().WithResource(res.Kind.Plural)] = true
		}
	}
	d.addExtensions(extensions)
	d.addOpenAPI(resources)
	slices.SortFunc(d.groups, d.compareGroups)
	for _, g := range d.groups {
		slices.SortFunc(g.versions, func(a, b string) int { return d.compareVersions(g.name, a, b) })
	}
	return d
}

// group is an API group with its versions, the preferred one first.
type group struct {
	name     string
	versions []string
	own      *groupDocument // what the gateway serves of it; nil: nothing, or an extension server serves some of it
}

// addVersion adds a version that an extension server serves.
func (d *Documents) addVersion(gv kschema.GroupVersion) {
	i := slices.IndexFunc(d.groups, func(g group) bool { return g.name == gv.Group })
	if i < 0 {
		d.groups = append(d.groups, group{name: gv.Group, versions: []string{gv.Version}})
		return
	}
	if d.lists[gv] == nil {
		d.groups[i].versions = append(d.groups[i].versions, gv.Version)
	}
	d.groups[i].own = nil
}

// rowsOf are the rows of a resource: itself and its subresources.
func rowsOf(res *request.Resource) []metav1.APIResource {
	k, v := res.Kind, res.Version
	row := metav1.APIResource{
		Name: k.Plural, SingularName: k.Singular, Namespaced: k.Namespaced, Kind: v.Kind,
		Verbs: res.Handlers.Verbs(), ShortNames: k.ShortNames, Categories: k.Categories,
	}
	if v.IsUnstructured() {
		row.Verbs = inOrder(row.Verbs)
	}
	if !res.Virtual {
		row.StorageVersionHash = storageHash(k)
	}
	if len(row.ShortNames) == 0 {
		row.ShortNames = nil
	}
	rows := []metav1.APIResource{row}
	for _, s := range res.Subresources {
		body := s.BodyOf(v)
		row := metav1.APIResource{Name: k.Plural + "/" + s.Name, Namespaced: k.Namespaced, Kind: body.Kind, Verbs: s.Verbs}
		if body.GV() != v.GV() {
			row.Group, row.Version = body.Group, body.Version
		}
		rows = append(rows, row)
	}
	return rows
}

// customVerbs is the order in which Kubernetes lists the verbs of custom kinds; those of the others are sorted.
var customVerbs = []string{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}

func inOrder(verbs []string) []string {
	return slices.DeleteFunc(slices.Clone(customVerbs), func(verb string) bool { return !slices.Contains(verbs, verb) })
}

// storageHash changes when the version that a kind is stored in does. It is Kubernetes', which stores definitions and the two kinds of mutating policies in their
// earlier version.
func storageHash(k *schema.Kind) string {
	version := k.Version.Version
	if strings.HasPrefix(k.Kind, "MutatingAdmissionPolicy") || k.Kind == "CustomResourceDefinition" && k.Group == "apiextensions.k8s.io" {
		version = "v1beta1"
	}
	sum := sha256.Sum256([]byte(k.Group + "/" + version + "/" + k.Kind))
	return base64.StdEncoding.EncodeToString(sum[:8])
}

// CoreVersions answers /api.
func (d *Documents) CoreVersions(w http.ResponseWriter, r *request.Request) error {
	return d.discover(w, r, d.core, isCore, &metav1.APIVersions{
		TypeMeta: metav1.TypeMeta{Kind: "APIVersions"},
		Versions: []string{"v1"},
		ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{
			{ClientCIDR: "0.0.0.0/0", ServerAddress: d.advertised().String()},
		},
	})
}

// Groups answers /apis.
func (d *Documents) Groups(w http.ResponseWriter, r *request.Request) error {
	list := &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	for _, g := range d.groups {
		if g.name != "" {
			list.Groups = append(list.Groups, g.plain())
		}
	}
	return d.discover(w, r, d.others, isOther, list)
}

// plain is the group as /apis lists it.
func (g group) plain() metav1.APIGroup {
	out := metav1.APIGroup{Name: g.name}
	for _, v := range g.versions {
		gv := kschema.GroupVersion{Group: g.name, Version: v}
		out.Versions = append(out.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: v})
	}
	out.PreferredVersion = out.Versions[0]
	return out
}

// Group answers /apis/<group>; nil where there is none.
func (d *Documents) Group(name string) request.Handler {
	for _, g := range d.groups {
		if g.name == name && name != "" {
			return func(w http.ResponseWriter, r *request.Request) error {
				one := g.plain()
				one.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
				return d.discover(w, r, nil, nil, &one)
			}
		}
	}
	return nil
}

// Resources answers /api/v1 and /apis/<group>/<version>; nil where there is none.
func (d *Documents) Resources(group, version string) request.Handler {
	l := d.lists[kschema.GroupVersion{Group: group, Version: version}]
	if l == nil {
		return nil
	}
	return func(w http.ResponseWriter, r *request.Request) error { return d.discover(w, r, nil, nil, l) }
}
