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
	resources []*request.Resource
	groups    []group // in the order of compareGroups
	lists     map[kschema.GroupVersion]*metav1.APIResourceList
	custom    map[kschema.GroupVersionResource]bool // the resources of custom kinds
	// extensions are those of lists that extension servers serve.
	extensions map[kschema.GroupVersion]*Extension
	cache      *Cache
	described  func() []openapi.Resource
	version    kversion.Info
	// advertised is where others reach this gateway: "10.0.0.1:6443".
	advertised func() netip.AddrPort
}

// New describes resources and what extension servers serve. cache holds what was made for others.
func New(resources []*request.Resource, cache *Cache, advertised func() netip.AddrPort, version kversion.Info, extensions []Extension) *Documents {
	d := &Documents{resources: resources, cache: cache, advertised: advertised, version: version, lists: map[kschema.GroupVersion]*metav1.APIResourceList{},
		custom: map[kschema.GroupVersionResource]bool{}}
	d.described = sync.OnceValue(func() []openapi.Resource { return describeAll(resources) })
	for _, res := range resources {
		gv := res.Version.GV()
		l := d.lists[gv]
		if l == nil {
			l = &metav1.APIResourceList{
				TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String(),
			}
			if gv.Group == "" {
				l.APIVersion = "" // as in Kubernetes
			}
			d.lists[gv] = l
			d.addVersion(gv)
		}
		l.APIResources = append(l.APIResources, rowsOf(res)...)
		if res.Version.IsUnstructured() {
			d.custom[gv.WithResource(res.Kind.Plural)] = true
		}
	}
	d.addExtensions(extensions)
	slices.SortFunc(d.groups, d.compareGroups)
	for _, g := range d.groups {
		slices.SortFunc(g.versions, func(a, b string) int { return d.compareVersions(g.name, a, b) })
	}
	for _, l := range d.lists {
		slices.SortFunc(l.APIResources, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	}
	return d
}

// group is an API group with its versions, the preferred one first.
type group struct {
	name     string
	versions []string
}

func (d *Documents) addVersion(gv kschema.GroupVersion) {
	for i := range d.groups {
		if d.groups[i].name == gv.Group {
			d.groups[i].versions = append(d.groups[i].versions, gv.Version)
			return
		}
	}
	d.groups = append(d.groups, group{gv.Group, []string{gv.Version}})
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
	return d.discover(w, r, func(group string) bool { return group == "" }, &metav1.APIVersions{
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
	return d.discover(w, r, func(group string) bool { return group != "" }, list)
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
				return d.discover(w, r, nil, &one)
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
	return func(w http.ResponseWriter, r *request.Request) error { return d.discover(w, r, nil, l) }
}
