package gateway

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/agents/gateway/aggregate"
	"gantry/agents/gateway/discovery"
	"gantry/agents/gateway/request"
	"gantry/schema"
)

// resources are what paths can name: the kinds that there are now, in each version that they are served in, and the virtual
// resources. It is safe for concurrent use.
type resources struct {
	kinds   *schema.Kinds
	rows    func(*schema.Kind, *schema.Version) *request.Resource
	virtual []*request.Resource
	docs    func([]*request.Resource, []discovery.Extension) *discovery.Documents
	// extensions are what extension servers serve, beside the resources.
	extensions func() *aggregate.Services
	current    atomic.Pointer[resourceSet]
}

// resourceSet are the resources of a set of kinds, with what describes them and the extensions. It is read-only.
type resourceSet struct {
	set    *schema.Set
	beside *aggregate.Services
	all    []*request.Resource
	byPath map[kschema.GroupVersionResource]*request.Resource
	byKind map[*schema.Kind]kindResources
	groups map[string]bool             // the names of the groups, without the core group
	custom map[string]bool             // the names of those groups that have custom kinds only
	docs   func() *discovery.Documents // made when they are first asked for
}

// kindResources are the resources of a kind. They are kept while the kind is in the set: a definition among a thousand makes its own anew.
type kindResources struct {
	stored *request.Resource // in the stored version, which may not be served
	served []*request.Resource
}

func (r *resources) ofKind(k *schema.Kind) kindResources {
	of := kindResources{stored: r.rows(k, k.Stored())}
	for _, v := range k.Served() {
		if v == k.Stored() {
			of.served = append(of.served, of.stored)
		} else {
			of.served = append(of.served, r.rows(k, v))
		}
	}
	return of
}

// now are the resources of the kinds that there are now.
func (r *resources) now() *resourceSet {
	set, beside := r.kinds.Set(), r.extensions()
	was := r.current.Load()
	if was != nil && was.set == set && was.beside == beside {
		return was
	}
	s := &resourceSet{
		set: set, beside: beside, groups: map[string]bool{}, custom: map[string]bool{},
		byPath: make(map[kschema.GroupVersionResource]*request.Resource, len(set.All)), byKind: make(map[*schema.Kind]kindResources, len(set.All)),
	}
	for _, k := range set.All {
		var of kindResources
		if was != nil {
			of = was.byKind[k]
		}
		if of.stored == nil {
			of = r.ofKind(k)
		}
		s.byKind[k] = of
		s.all = append(s.all, of.served...)
	}
	s.all = append(s.all, r.virtual...)
	for _, res := range s.all {
		if group := res.Version.Group; group != "" {
			s.custom[group] = (s.custom[group] || !s.groups[group]) && res.Version.IsUnstructured()
			s.groups[group] = true
		}
		s.byPath[res.Version.GV().WithResource(res.Kind.Plural)] = res
	}
	for _, service := range beside.All() {
		s.groups[service.Spec.Group] = true
		delete(s.custom, service.Spec.Group)
	}
	s.docs = sync.OnceValue(func() *discovery.Documents { return r.docs(s.all, beside.Extensions()) })
	r.current.Store(s) // concurrent calls make the same
	return s
}

// Resource finds a resource by its path; nil where there is none.
func (r *resources) Resource(group, version, plural string) *request.Resource {
	return r.now().byPath[kschema.GroupVersionResource{Group: group, Version: version, Resource: plural}]
}

// Key parses an etcd key below /registry/.
func (r *resources) Key(rel string) (res *request.Resource, namespace, name string, ok bool) {
	s := r.now()
	k, namespace, name, ok := s.set.Key(rel)
	if !ok {
		return nil, "", "", false
	}
	return s.byKind[k].stored, namespace, name, true
}

// rows are everything that can be asked of a stored kind in a version: its verbs, its parts, its scale, and the actions on it.
func (g *gateway) rows(k *schema.Kind, v *schema.Version) *request.Resource {
	object := request.Handlers{"get": g.get, "update": g.update, "patch": g.patch, "delete": g.delete,
		"create": g.create, "list": g.list, "watch": g.watch, "deletecollection": g.deleteCollection}
	part := request.Handlers{"get": g.get, "update": g.update, "patch": g.patch}
	scale := request.Handlers{"get": g.getScale, "update": g.updateScale, "patch": g.patchScale}
	res := &request.Resource{Kind: k, Version: v, Handlers: object.Only(k.AllVerbs())}
	add := func(s schema.Subresource, handlers request.Handlers) {
		s.Verbs = handlers.Verbs()
		res.Subresources = append(res.Subresources, request.Subresource{Subresource: s, Handlers: handlers})
	}
	for _, s := range k.RulesOf(v).Subresources {
		switch {
		case s.IsPart():
			add(s, part.Only(s.Verbs))
		case s.Scale != nil:
			add(s, scale.Only(s.Verbs))
		}
	}
	for _, a := range g.actions {
		if a.on == k.GR() {
			add(a.Subresource, a.handlers())
		}
	}
	slices.SortFunc(res.Subresources, func(a, b request.Subresource) int { return strings.Compare(a.Name, b.Name) })
	return res
}
