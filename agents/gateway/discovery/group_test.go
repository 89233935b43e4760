package discovery

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	kversion "k8s.io/apimachinery/pkg/version"

	"gantry/agents/gateway/request"
	"gantry/schema"
	"gantry/schema/apps"
)

func customKind(group string, i int) *request.Resource {
	k := &schema.Kind{
		Version: schema.Version{Group: group, Version: "v1", Kind: fmt.Sprintf("Kind%d", i), New: schema.NewUnstructured, NewList: schema.NewUnstructuredList},
		Plural:  fmt.Sprintf("kinds%d", i), Namespaced: true,
	}
	return &request.Resource{Kind: k, Version: k.Stored(), Handlers: request.Handlers{"get": nil, "list": nil}}
}

// aggregatedOf is the aggregated document of /apis; it is what aggregated lists.
func aggregatedOf(t *testing.T, d *Documents) document {
	t.Helper()
	made, err := d.others()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decompress(made.compressed)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(d.aggregated(isOther))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the aggregated document (-want +got):\n%s", diff)
	}
	return made
}

// A kind that comes changes the documents of its group and of no other; so does one that goes.
func TestGroupsAreKept(t *testing.T) {
	cache := &Cache{}
	documents := func(all []*request.Resource) *Documents { return New(all, cache, nil, kversion.Info{}, nil) }
	all := []*request.Resource{{Kind: apps.Deployment, Version: apps.Deployment.Stored()}}
	for i := range 20 {
		all = append(all, customKind(fmt.Sprintf("group%d.example.com", i%4), i))
	}
	before := documents(all)
	beforeDoc := aggregatedOf(t, before)
	beforePage, beforeOther := v3(t, before, "apis/group1.example.com/v1"), v3(t, before, "apis/group2.example.com/v1")

	after := documents(append(all[:len(all):len(all)], customKind("group1.example.com", 100)))
	if hash := aggregatedOf(t, after).hash; hash == beforeDoc.hash {
		t.Error("the aggregated document has the ETag of the one before")
	}
	own := map[string]*groupDocument{}
	for _, g := range before.groups {
		own[g.name] = g.own
	}
	for _, g := range after.groups {
		if same := g.own == own[g.name]; same != (g.name != "group1.example.com") {
			t.Errorf("group %s: made anew: %t", g.name, !same)
		}
	}
	if page := v3(t, after, "apis/group1.example.com/v1"); page == beforePage {
		t.Error("the OpenAPI document of the group is the one before")
	}
	if page := v3(t, after, "apis/group2.example.com/v1"); page != beforeOther {
		t.Error("the OpenAPI document of another group is made anew")
	}

	if hash := aggregatedOf(t, documents(all)).hash; hash != beforeDoc.hash {
		t.Error("the aggregated document has another ETag where the kind is gone")
	}
}

// v3 is where the compressed OpenAPI document of a path is held.
func v3(t *testing.T, d *Documents, path string) *byte {
	t.Helper()
	own, build := d.describe(path)
	made, _ := d.cache.held("v3/"+path, own, "", build)
	if made.err != nil {
		t.Fatal(made.err)
	}
	return &made.compressed[0]
}
