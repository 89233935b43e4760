package discovery

import (
	"bytes"
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
	"gantry/schema/openapi"
)

const (
	discoveryGroup = "apidiscovery.k8s.io"
	discoveryList  = "APIGroupDiscoveryList"
)

// selected are the groups of an aggregated document: those of /api or those of /apis.
type selected func(group string) bool

func isCore(group string) bool  { return group == "" }
func isOther(group string) bool { return group != "" }

// discover answers with plain, or with the aggregated form where there is one and the client prefers that: nil where the path has only the plain
// form.
func (d *Documents) discover(w http.ResponseWriter, r *request.Request, aggregated func() (document, error), in selected, plain any) error {
	w.Header().Add("Vary", "Accept")
	plainOffer := request.Offer{}
	if strings.HasPrefix(r.Path, "/api/") || strings.Count(strings.Trim(r.Path, "/"), "/") != 1 && strings.Trim(r.Path, "/") != "apis" {
		// /apis and /apis/<group> are served before Kubernetes' router
		plainOffer.Types = request.ObjectTypes()
	}
	shape, err := request.Negotiate(r.Header, request.WantsPretty(r), plainOffer)
	if shape, ok := aggregatedOffer.Shown(r.Header); ok && aggregated != nil {
		r.Shape = shape
		r.Shape.Pretty = request.WantsPretty(r)
		return d.sendDiscovery(w, r, aggregated, in)
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
func (d *Documents) sendDiscovery(w http.ResponseWriter, r *request.Request, aggregated func() (document, error), in selected) error {
	made, err := aggregated()
	if err != nil {
		return err
	}
	if encode.SameHash(w, r.Request, made.hash) {
		return nil
	}
	kind := r.Shape.ContentType()
	r.Shape.As, r.Shape.Version = "", ""
	w.Header().Set("Content-Type", fmt.Sprintf("%s;g=%s;v=v2;as=%s", kind, discoveryGroup, discoveryList))
	if r.Shape.Protobuf {
		return encode.Object(w, r, http.StatusOK, d.aggregated(in))
	}
	body, err := decompress(made.compressed)
	if err != nil {
		return err
	}
	return encode.Object(w, r, http.StatusOK, json.RawMessage(body))
}

// aggregatedDocument is the JSON of aggregated, made of that of its groups.
func (d *Documents) aggregatedDocument(in selected) (document, error) {
	head, err := json.Marshal(apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: listType, Items: []apidiscoveryv2.APIGroupDiscovery{}})
	if err != nil {
		return document{}, err
	}
	body := bytes.TrimSuffix(head, []byte("]}"))
	separator := ""
	for _, g := range d.groups {
		if !in(g.name) {
			continue
		}
		text, err := d.groupJSON(g)
		if err != nil {
			return document{}, err
		}
		body = append(append(body, separator...), text...)
		separator = ","
	}
	body = append(body, "]}"...)
	made := document{hash: openapi.Hash(body)}
	made.compressed, err = compress(body)
	return made, err
}

// groupJSON is the JSON of a group in the aggregated form. That of a group without extension servers is kept.
func (d *Documents) groupJSON(g group) ([]byte, error) {
	if g.own == nil {
		return json.Marshal(d.aggregatedGroup(g))
	}
	return g.own.aggregatedJSON(func() ([]byte, error) { return json.Marshal(d.aggregatedGroup(g)) })
}

var listType = metav1.TypeMeta{Kind: discoveryList, APIVersion: discoveryGroup + "/v2"}

// aggregated lists the groups that in selects with their resources and subresources.
func (d *Documents) aggregated(in selected) *apidiscoveryv2.APIGroupDiscoveryList {
	list := &apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: listType, Items: []apidiscoveryv2.APIGroupDiscovery{}}
	for _, g := range d.groups {
		if in(g.name) {
			list.Items = append(list.Items, d.aggregatedGroup(g))
		}
	}
	return list
}

func (d *Documents) aggregatedGroup(g group) apidiscoveryv2.APIGroupDiscovery {
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
	return one
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
