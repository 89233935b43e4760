package discovery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

const (
	discoveryGroup = "apidiscovery.k8s.io"
	discoveryList  = "APIGroupDiscoveryList"
)

// discover answers with plain, or with the aggregated form of the groups that in selects where the client prefers that. in is nil
// for paths that have only the plain form.
func (d *Documents) discover(w http.ResponseWriter, r *request.Request, in func(group string) bool, plain any) error {
	w.Header().Add("Vary", "Accept")
	plainOffer := request.Offer{}
	if strings.HasPrefix(r.Path, "/api/") || strings.Count(strings.Trim(r.Path, "/"), "/") != 1 && strings.Trim(r.Path, "/") != "apis" {
		// /apis and /apis/<group> are served before Kubernetes' router
		plainOffer.Types = request.ObjectTypes()
	}
	shape, err := request.Negotiate(r.Header, request.WantsPretty(r), plainOffer)
	if shape, ok := aggregatedOffer.Shown(r.Header); ok && in != nil {
		r.Shape = shape
		r.Shape.Pretty = request.WantsPretty(r)
		return d.sendDiscovery(w, r, in)
	}
	if err != nil {
		return err
	}
	r.Shape = shape
	return encode.Object(w, r, http.StatusOK, plain)
}

// aggregatedOffer is the aggregated form.
var aggregatedOffer = request.Offer{As: func(_ string, gvk kschema.GroupVersionKind) bool {
	return gvk == kschema.GroupVersionKind{Group: discoveryGroup, Version: "v2", Kind: discoveryList}
}}

// sendDiscovery writes the aggregated form with its ETag, the hash of its JSON.
func (d *Documents) sendDiscovery(w http.ResponseWriter, r *request.Request, in func(group string) bool) error {
	list := d.aggregated(in)
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if encode.SameDocument(w, r.Request, body) {
		return nil
	}
	kind := r.Shape.ContentType()
	r.Shape.As, r.Shape.Version = "", ""
	w.Header().Set("Content-Type", fmt.Sprintf("%s;g=%s;v=v2;as=%s", kind, discoveryGroup, discoveryList))
	return encode.Object(w, r, http.StatusOK, list)
}

// aggregated lists the groups that in selects with their resources and subresources.
func (d *Documents) aggregated(in func(group string) bool) *apidiscoveryv2.APIGroupDiscoveryList {
	list := &apidiscoveryv2.APIGroupDiscoveryList{
		TypeMeta: metav1.TypeMeta{Kind: discoveryList, APIVersion: discoveryGroup + "/v2"},
		Items:    []apidiscoveryv2.APIGroupDiscovery{},
	}
	for _, g := range d.groups {
		if !in(g.name) {
			continue
		}
		one := apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: g.name}}
		for _, v := range g.versions {
			gv := kschema.GroupVersion{Group: g.name, Version: v}
			freshness := apidiscoveryv2.DiscoveryFreshnessCurrent
			if e := d.extensions[gv]; e != nil && e.Stale {
				freshness = apidiscoveryv2.DiscoveryFreshnessStale
			}
			one.Versions = append(one.Versions, apidiscoveryv2.APIVersionDiscovery{
				Version: v, Resources: d.discoveryRows(gv), Freshness: freshness,
			})
		}
		list.Items = append(list.Items, one)
	}
	return list
}

// discoveryRows turns plain rows (pods, pods/log) into nested ones. rows are sorted, so a resource stands before its
// subresources. Kinds of the list's own group and version are written without them, as Kubernetes does, except for custom kinds, whose status stands
// before their scale.
func (d *Documents) discoveryRows(gv kschema.GroupVersion) []apidiscoveryv2.APIResourceDiscovery {
	var out []apidiscoveryv2.APIResourceDiscovery
	for _, row := range d.lists[gv].APIResources {
		kind := metav1.GroupVersionKind{Group: row.Group, Version: row.Version, Kind: row.Kind}
		resource, sub, nested := strings.Cut(row.Name, "/")
		custom := d.custom[gv.WithResource(resource)]
		if custom && kind.Version == "" {
			kind.Group, kind.Version = gv.Group, gv.Version
		}
		if nested {
			if n := len(out); n > 0 && out[n-1].Resource == resource {
				out[n-1].Subresources = append(out[n-1].Subresources, apidiscoveryv2.APISubresourceDiscovery{
					Subresource: sub, ResponseKind: &kind, Verbs: row.Verbs,
				})
				if custom {
					slices.SortFunc(out[n-1].Subresources, func(a, b apidiscoveryv2.APISubresourceDiscovery) int {
						return strings.Compare(b.Subresource, a.Subresource)
					})
				}
			}
			continue
		}
		scope := apidiscoveryv2.ScopeCluster
		if row.Namespaced {
			scope = apidiscoveryv2.ScopeNamespace
		}
		out = append(out, apidiscoveryv2.APIResourceDiscovery{
			Resource: row.Name, ResponseKind: &kind, Scope: scope, SingularResource: row.SingularName,
			Verbs: row.Verbs, ShortNames: row.ShortNames, Categories: row.Categories,
		})
	}
	return out
}
