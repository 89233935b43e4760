package discovery

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	kversion "k8s.io/apimachinery/pkg/version"

	"gantry/agents/gateway/request"
	"gantry/schema"
	"gantry/schema/apps"
)

// Groups of extension servers follow the built-in ones by their priority, with the resources that are known, and versions are ordered by theirs.
func TestExtensions(t *testing.T) {
	gv := func(group, version string) kschema.GroupVersion {
		return kschema.GroupVersion{Group: group, Version: version}
	}
	custom := &schema.Kind{Version: schema.Version{Group: "custom.example.com", Version: "v1", Kind: "C", New: schema.NewUnstructured}, Plural: "cs"}
	both := &schema.Kind{Version: schema.Version{Group: "wardle.example.com", Version: "v1", Kind: "W", New: schema.NewUnstructured}, Plural: "ws"}
	var all []*request.Resource
	for _, k := range []*schema.Kind{custom, both, apps.Deployment} {
		all = append(all, &request.Resource{Kind: k, Version: k.Stored()})
	}
	d := New(all, &Cache{}, nil, kversion.Info{}, []Extension{
		{GroupVersion: gv("low.example.com", "v1"), GroupPriority: 10, VersionPriority: 10, Stale: true},
		{GroupVersion: gv("wardle.example.com", "v1alpha1"), GroupPriority: 2000, VersionPriority: 200, Resources: []metav1.APIResource{
			{Name: "flunders", Kind: "Flunder", Namespaced: true}, {Name: "flunders/status", Kind: "Flunder"}, {Name: "fischers", Kind: "Fischer"},
		}},
	})
	var got []string
	for _, g := range d.groups {
		for _, v := range g.versions {
			got = append(got, g.name+"/"+v)
		}
	}
	want := []string{"apps/v1", "wardle.example.com/v1alpha1", "wardle.example.com/v1", "custom.example.com/v1", "low.example.com/v1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the order: %s", diff)
	}
	list := d.aggregated(func(group string) bool { return group == "wardle.example.com" || group == "low.example.com" })
	versions := list.Items[0].Versions
	if r := versions[0].Resources; len(r) != 2 || r[1].Resource != "flunders" || r[1].Scope != apidiscoveryv2.ScopeNamespace || len(r[1].Subresources) != 1 {
		t.Errorf("the resources are %+v", r)
	}
	if f := list.Items[1].Versions[0].Freshness; f != apidiscoveryv2.DiscoveryFreshnessStale || versions[0].Freshness != apidiscoveryv2.DiscoveryFreshnessCurrent {
		t.Errorf("what may be old is %s, what is known %s", f, versions[0].Freshness)
	}
}

func TestVerbsOfCustomKinds(t *testing.T) {
	if diff := cmp.Diff([]string{"delete", "get", "create", "watch"}, inOrder([]string{"create", "delete", "get", "watch"})); diff != "" {
		t.Error(diff)
	}
}
