package discovery

import (
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/request"
)

// groupDocument describes the resources of a group that the gateway serves. It is kept as long as they are the same.
type groupDocument struct {
	name     string
	of       []*request.Resource
	versions []string // in the order of of
	lists    map[string]*metav1.APIResourceList

	mu         sync.Mutex // guards aggregated
	aggregated []byte     // the JSON of its aggregated form; nil: not made yet
}

func newGroupDocument(name string, of []*request.Resource) *groupDocument {
	g := &groupDocument{name: name, of: of, lists: map[string]*metav1.APIResourceList{}}
	for _, res := range of {
		v := res.Version.Version
		l := g.lists[v]
		if l == nil {
			l = &metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: res.Version.GV().String()}
			if name == "" {
				l.APIVersion = "" // as in Kubernetes
			}
			g.lists[v] = l
			g.versions = append(g.versions, v)
		}
		l.APIResources = append(l.APIResources, rowsOf(res)...)
	}
	for _, l := range g.lists {
		slices.SortFunc(l.APIResources, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	}
	return g
}

// aggregatedJSON is what build makes, once. It is read-only.
func (g *groupDocument) aggregatedJSON(build func() ([]byte, error)) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.aggregated != nil {
		return g.aggregated, nil
	}
	text, err := build()
	g.aggregated = text
	return text, err
}

// groupsOf are the groups of resources, in their order. Those whose resources are as in the call before are the same.
func (c *Cache) groupsOf(resources []*request.Resource) []*groupDocument {
	var names []string
	byName := map[string][]*request.Resource{}
	for _, res := range resources {
		name := res.Version.Group
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], res)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := make(map[string]*groupDocument, len(names))
	all := make([]*groupDocument, len(names))
	for i, name := range names {
		if all[i] = c.groups[name]; all[i] == nil || !slices.Equal(all[i].of, byName[name]) {
			all[i] = newGroupDocument(name, byName[name])
		}
		now[name] = all[i]
	}
	c.groups = now
	return all
}
