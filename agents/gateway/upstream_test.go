package gateway_test

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// servedBesides are rows that kube-apiserver has not: upstream, metrics-server serves them behind it.
var servedBesides = []string{
	"metrics.k8s.io/v1beta1 nodes",
	"metrics.k8s.io/v1beta1 pods",
}

// TestDiscoveryIsUpstreams compares aggregated discovery with testdata/discovery.txt: what kube-apiserver v1.36.3 serves by default, from its
// api/discovery. A row is a version, a resource or subresource, its singular name, scope, kind (with group and version where those are
// others), verbs, short names and categories; "-" is none.
func TestDiscoveryIsUpstreams(t *testing.T) {
	text, err := os.ReadFile("testdata/discovery.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := newCluster(t).discoveryRows()
	want := strings.Split(strings.TrimSpace(string(text)), "\n")
	name := func(row string) string { return strings.Join(strings.SplitN(row, " ", 3)[:2], " ") }
	for _, row := range servedBesides {
		if !slices.ContainsFunc(got, func(r string) bool { return name(r) == row }) {
			t.Errorf("%s is not served", row)
		}
	}
	got = slices.DeleteFunc(got, func(row string) bool { return slices.Contains(servedBesides, name(row)) })
	slices.Sort(want)
	slices.Sort(got)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("discovery (-upstream +got):\n%s", diff)
	}
}

func (c *cluster) discoveryRows() (rows []string) {
	c.T.Helper()
	for _, path := range []string{"/api", "/apis"} {
		var list apidiscoveryv2.APIGroupDiscoveryList
		a := c.As("GET", path, "", "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
		if err := json.Unmarshal([]byte(a.Body), &list); err != nil {
			c.T.Fatal(err)
		}
		for _, g := range list.Items {
			for _, v := range g.Versions {
				gv := metav1.GroupVersion{Group: g.Name, Version: v.Version}.String()
				for _, r := range v.Resources {
					rows = append(rows, resourceRows(gv, r)...)
				}
			}
		}
	}
	return rows
}

func resourceRows(gv string, r apidiscoveryv2.APIResourceDiscovery) []string {
	words := func(all []string) string { return cmp.Or(strings.Join(all, ","), "-") }
	kind := func(k *metav1.GroupVersionKind) string {
		return strings.TrimLeft(k.Group+"/"+k.Version+"/"+k.Kind, "/")
	}
	rows := []string{strings.Join([]string{gv, r.Resource, r.SingularResource, string(r.Scope), kind(r.ResponseKind), words(r.Verbs), words(r.ShortNames), words(r.Categories)}, " ")}
	for _, s := range r.Subresources {
		rows = append(rows, strings.Join([]string{gv, r.Resource + "/" + s.Subresource, "-", string(r.Scope), kind(s.ResponseKind), words(s.Verbs), "-", "-"}, " "))
	}
	return rows
}
