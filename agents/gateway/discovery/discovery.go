package discovery

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"gantry/agents/gateway/request"
	"gantry/schema"
)

// Documents are what describes the API itself: made once, of the kinds that are served.
type Documents struct {
	kinds    *schema.Set
	versions []kschema.GroupVersion // in the order of the kinds
	lists    map[kschema.GroupVersion]*metav1.APIResourceList
	openapi  openapiCache
	spoken   version.Info
	// advertised is where others reach this gateway: "10.0.0.1:6443".
	advertised func() netip.AddrPort
}

func New(kinds *schema.Set, virtual []*schema.Kind, served func(k *schema.Kind, subresource string) bool, advertised func() netip.AddrPort, spoken version.Info) *Documents {
	d := &Documents{kinds: kinds, advertised: advertised, spoken: spoken, lists: map[kschema.GroupVersion]*metav1.APIResourceList{}}
	for _, k := range slices.Concat(kinds.All, virtual) {
		gv := k.GVK().GroupVersion()
		l := d.lists[gv]
		if l == nil {
			l = &metav1.APIResourceList{
				TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String(),
			}
			d.lists[gv] = l
			d.versions = append(d.versions, gv)
		}
		l.APIResources = append(l.APIResources, resourcesOf(k, served)...)
	}
	// Evictions and scales are asked for by their groups' names, which have no resources of their own.
	for _, l := range d.lists {
		slices.SortFunc(l.APIResources, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	}
	return d
}

// Verbs of resources, as discovery lists them.
var (
	storedVerbs  = metav1.Verbs{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
	virtualVerbs = metav1.Verbs{"create"}
)

// resourcesOf are the rows of discovery of a kind: itself and its subresources.
func resourcesOf(k *schema.Kind, served func(k *schema.Kind, subresource string) bool) []metav1.APIResource {
	row := metav1.APIResource{
		Name: k.Plural, SingularName: k.Singular, Namespaced: k.Namespaced, Kind: k.Kind,
		Verbs: virtualVerbs, ShortNames: k.ShortNames, Categories: k.Categories,
	}
	if k.Prefix != "" {
		row.Verbs = storedVerbs
		row.StorageVersionHash = storageHash(k)
	}
	if len(row.ShortNames) == 0 {
		row.ShortNames = nil
	}
	rows := []metav1.APIResource{row}
	for _, s := range k.Subresources {
		if !served(k, s.Name) {
			continue
		}
		body := s.BodyOf(k.Stored())
		row := metav1.APIResource{Name: k.Plural + "/" + s.Name, Namespaced: k.Namespaced, Kind: body.Kind, Verbs: s.Verbs}
		if body.GV() != k.GV() {
			row.Group, row.Version = body.Group, body.Version
		}
		rows = append(rows, row)
	}
	return rows
}

// storageHash changes when the version that a kind is stored in does.
func storageHash(k *schema.Kind) string {
	sum := sha256.Sum256([]byte(k.Group + "/" + k.Version.Version + "/" + k.Kind))
	return base64.StdEncoding.EncodeToString(sum[:8])
}

// CoreVersions answers /api.
func (d *Documents) CoreVersions(w http.ResponseWriter, r *request.Request) error {
	return d.discover(w, r, func(gv kschema.GroupVersion) bool { return gv.Group == "" }, &metav1.APIVersions{
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
	for _, gv := range d.versions {
		if gv.Group != "" {
			list.Groups = append(list.Groups, groupOf(gv))
		}
	}
	return d.discover(w, r, func(gv kschema.GroupVersion) bool { return gv.Group != "" }, list)
}

// groupOf is a group; every group has one version yet.
func groupOf(gv kschema.GroupVersion) metav1.APIGroup {
	v := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
	return metav1.APIGroup{Name: gv.Group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v}
}

// Group answers /apis/<group>; nil where there is none.
func (d *Documents) Group(name string) request.Handler {
	for _, gv := range d.versions {
		if gv.Group == name && name != "" {
			return func(w http.ResponseWriter, r *request.Request) error {
				one := groupOf(gv)
				one.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
				return d.discover(w, r, nil, one)
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
