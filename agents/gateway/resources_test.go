package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/agents/gateway"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/agents/internal/pki"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// methods are those of the verbs; a watch is a GET of its own.
var methods = map[string]string{
	"get": "GET", "list": "GET", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE",
}

// pathsOf are the paths of a resource, with placeholders: in all namespaces ("" where there are none), of its collection, of an object.
func pathsOf(gv kschema.GroupVersion, plural string, namespaced bool) (everywhere, collection, object string) {
	base := "/apis/" + gv.String()
	if gv.Group == "" {
		base = "/api/" + gv.Version
	}
	collection = base + "/" + plural
	if namespaced {
		everywhere, collection = collection, base+"/namespaces/{namespace}/"+plural
	}
	return everywhere, collection, collection + "/{name}"
}

// discovered is what discovery lists, as "METHOD path".
func (c *cluster) discovered() (all []string) {
	c.T.Helper()
	var groups metav1.APIGroupList
	if err := json.Unmarshal([]byte(c.As("GET", "/apis", "").Body), &groups); err != nil {
		c.T.Fatal(err)
	}
	lists := []string{"/api/v1"}
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			lists = append(lists, "/apis/"+v.GroupVersion)
		}
	}
	for _, path := range lists {
		var l metav1.APIResourceList
		if err := json.Unmarshal([]byte(c.As("GET", path, "").Body), &l); err != nil {
			c.T.Fatal(err)
		}
		gv, _ := kschema.ParseGroupVersion(l.GroupVersion)
		for _, row := range l.APIResources {
			plural, sub, nested := strings.Cut(row.Name, "/")
			everywhere, collection, object := pathsOf(gv, plural, row.Namespaced)
			for _, verb := range row.Verbs {
				switch {
				case nested:
					all = append(all, methods[verb]+" "+object+"/"+sub)
				case slices.Contains(gateway.ObjectVerbs, verb):
					all = append(all, methods[verb]+" "+object)
				default:
					all = append(all, methods[verb]+" "+collection)
					if everywhere != "" && slices.Contains(gateway.EverywhereVerbs, verb) {
						all = append(all, methods[verb]+" "+everywhere)
					}
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// described is what the OpenAPI documents at paths list, as "METHOD path".
func (c *cluster) described(paths ...string) (all []string) {
	c.T.Helper()
	for _, path := range paths {
		var doc struct {
			Paths map[string]map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(c.As("GET", path, "").Body), &doc); err != nil {
			c.T.Fatal(err)
		}
		for path, item := range doc.Paths {
			for method := range item {
				if method == "get" && strings.HasSuffix(path, "/") { // a page
					if a := c.As("GET", path, ""); a.Code != 200 {
						c.T.Errorf("GET %s: %d", path, a.Code)
					}
					continue
				}
				if method != "parameters" {
					all = append(all, strings.ToUpper(method)+" "+path)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// served is what the router finds a handler for, of all that could be asked, as "METHOD path".
func (c *cluster) served() (all []string) {
	subs := map[string]bool{"status": true, "scale": true, "finalize": true, "proxy": true, "ephemeralcontainers": true, "approval": true, "bogus": true}
	for _, res := range c.gateway.Resources() {
		for _, s := range res.Subresources {
			subs[s.Name] = true
		}
	}
	for _, res := range c.gateway.Resources() {
		everywhere, collection, object := pathsOf(res.Version.GV(), res.Kind.Plural, res.Kind.Namespaced)
		paths := []string{collection, object}
		if everywhere != "" {
			paths = append(paths, everywhere)
		}
		for sub := range subs {
			paths = append(paths, object+"/"+sub, object+"/"+sub+"/{path}")
		}
		all = append(all, c.servedWatches(res.Version.GV(), everywhere, collection, object)...)
		for _, path := range paths {
			for _, method := range []string{"GET", "WATCH", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} {
				asked, query := method, ""
				if method == "WATCH" {
					asked, query = "GET", "?watch=1"
				}
				req := httptest.NewRequest(asked, strings.NewReplacer("{namespace}", "a", "{name}", "x", "{path}", "a/b").Replace(path)+query, nil)
				r := c.gateway.Read(req)
				if method == "WATCH" && r.Verb != "watch" {
					continue // an object is never watched
				}
				if gateway.HasHandler(r) {
					all = append(all, method+" "+path)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// servedWatches are the paths of watches from before ?watch=1 that the router finds a handler for, as "GET path".
func (c *cluster) servedWatches(gv kschema.GroupVersion, paths ...string) (all []string) {
	for _, path := range paths {
		if path == "" {
			continue
		}
		base := "/apis/" + gv.String()
		if gv.Group == "" {
			base = "/api/" + gv.Version
		}
		path = base + "/watch" + strings.TrimPrefix(path, base)
		r := c.gateway.Read(httptest.NewRequest("GET", strings.NewReplacer("{namespace}", "a", "{name}", "x").Replace(path), nil))
		if r.Verb == "watch" && gateway.HasHandler(r) {
			all = append(all, "GET "+path)
		}
	}
	return all
}

func withoutWatchPaths(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.Contains(s, "/watch/") })
}

func withoutWatches(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.HasPrefix(s, "WATCH ") })
}

// TestWhatIsListedIsServed checks that discovery, the OpenAPI documents and the router have the same paths and methods.
func TestWhatIsListedIsServed(t *testing.T) {
	c := newCluster(t)
	served := c.served()
	verbs := slices.DeleteFunc(withoutWatchPaths(served), func(s string) bool { // discovery lists these with the verbs that they are permitted by
		return strings.HasPrefix(s, "HEAD ") || strings.HasPrefix(s, "OPTIONS ") || strings.HasSuffix(s, "/{path}")
	})
	if diff := cmp.Diff(verbs, c.discovered()); diff != "" {
		t.Errorf("discovery (-served +listed):\n%s", diff)
	}
	if diff := cmp.Diff(withoutWatches(served), c.described("/openapi/v2")); diff != "" {
		t.Errorf("OpenAPI v2 (-served +listed):\n%s", diff)
	}
	var index struct{ Paths map[string]any }
	if err := json.Unmarshal([]byte(c.As("GET", "/openapi/v3", "").Body), &index); err != nil {
		t.Fatal(err)
	}
	var documents []string
	for path := range maps.Keys(index.Paths) {
		documents = append(documents, "/openapi/v3/"+path)
	}
	if diff := cmp.Diff(withoutWatches(served), c.described(documents...)); diff != "" {
		t.Errorf("OpenAPI v3 (-served +listed):\n%s", diff)
	}
	for _, want := range []string{
		"GET /api/v1/namespaces/{namespace}/pods/{name}/log", "PUT /api/v1/namespaces/{name}/finalize", "PATCH /apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
		"PUT /api/v1/namespaces/{namespace}/pods/{name}/ephemeralcontainers", "HEAD /api/v1/nodes/{name}/proxy", "OPTIONS /api/v1/namespaces/{namespace}/services/{name}/proxy/{path}",
		"POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "POST /api/v1/namespaces/{namespace}/bindings", "WATCH /api/v1/pods", "DELETE /api/v1/nodes",
	} {
		if !slices.Contains(served, want) {
			t.Errorf("%s is not served", want)
		}
	}
}

// TestVerbsAreTheKinds checks that a verb that a kind or its subresource does not have is 405, and that a path at which nothing is served
// is 404.
func TestVerbsAreTheKinds(t *testing.T) {
	c := newCluster(t)
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"DELETE", "/api/v1/namespaces", 405},
		{"DELETE", "/registry/namespaces/", 405},
		{"DELETE", "/api/v1/namespaces/absent", 404},
		{"GET", "/api/v1/namespaces/default/finalize", 405},
		{"PATCH", "/api/v1/namespaces/default/finalize", 405},
		{"DELETE", "/api/v1/namespaces/default/status", 405},
		{"POST", "/api/v1/pods", 405},
		{"DELETE", "/api/v1/pods", 405},
		{"PUT", "/api/v1/namespaces/default/pods/x/log", 405},
		{"GET", "/api/v1/namespaces/default/pods/x/eviction", 405},
		{"POST", "/api/v1/namespaces/default/pods/x/ephemeralcontainers", 405},
		{"PUT", "/api/v1/namespaces/default/pods/x/log/more", 404},
		{"GET", "/api/v1/namespaces/x/proxy", 404},
		{"CONNECT", "/api/v1/nodes/x/proxy", 405},
		{"GET", "/apis/authentication.k8s.io/v1/tokenreviews", 405},
		{"GET", "/apis/authentication.k8s.io/v1/tokenreviews/x", 404},
		{"POST", "/apis/authorization.k8s.io/v1/localsubjectaccessreviews", 404},
		{"OPTIONS", "/api/v1/namespaces", 405},
	} {
		if a := c.As(tt.method, tt.path, ""); a.Code != tt.code {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, a.Code, tt.code)
		}
	}
}

// TestAPartIsARow adds a subresource that is a part of the object, as a row of its kind.
func TestAPartIsARow(t *testing.T) {
	labelled := *core.ConfigMap
	labelled.Subresources = append(slices.Clone(labelled.Subresources), schema.Part("labels",
		func(m, old *corev1.ConfigMap) {
			labels := m.Labels
			old.DeepCopyInto(m)
			m.Labels = labels
		},
		func(m, _ *corev1.ConfigMap) (faults field.ErrorList) {
			if m.Labels["bad"] != "" {
				faults = append(faults, field.Forbidden(field.NewPath("metadata", "labels"), "not this one"))
			}
			return faults
		}))
	set, err := kinds.BuiltIn().With(&labelled)
	if err != nil {
		t.Fatal(err)
	}
	c := newClusterOf(t, schema.NewKinds(set))
	const path, placeholders = "/api/v1/namespaces/default/configmaps/m/labels", "/api/v1/namespaces/{namespace}/configmaps/{name}/labels"
	c.Make(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "m"}, Data: map[string]string{"a": "1"}})
	if a := c.As("PUT", path, `{"metadata":{"name":"m","labels":{"x":"y"}},"data":{"a":"2"}}`); a.Code != 200 || !strings.Contains(a.Body, `"x":"y"`) || !strings.Contains(a.Body, `"a":"1"`) {
		t.Errorf("PUT: %d %s", a.Code, a.Body)
	}
	if a := c.As("PATCH", path, `{"metadata":{"labels":{"bad":"y"}}}`, "Content-Type: application/merge-patch+json"); a.Code != 422 || !strings.Contains(a.Body, "not this one") {
		t.Errorf("PATCH: %d %s", a.Code, a.Body)
	}
	if a := c.As("DELETE", path, ""); a.Code != 405 {
		t.Errorf("DELETE: %d %s", a.Code, a.Body)
	}
	c.wantListed("GET "+placeholders, "PATCH "+placeholders, "PUT "+placeholders)
}

// wantListed holds what discovery and OpenAPI list below a path against lines, "METHOD path" of one path.
func (c *cluster) wantListed(lines ...string) {
	c.T.Helper()
	_, path, _ := strings.Cut(lines[0], " ")
	for name, all := range map[string][]string{"discovery": c.discovered(), "OpenAPI": c.described("/openapi/v2"), "router": c.served()} {
		got := slices.DeleteFunc(all, func(line string) bool { return !strings.HasSuffix(line, " "+path) })
		if diff := cmp.Diff(lines, got); diff != "" {
			c.T.Errorf("%s (-want +listed):\n%s", name, diff)
		}
	}
}

// TestAnActionIsARow adds a subresource that does something with the object, as a row of the gateway's table.
func TestAnActionIsARow(t *testing.T) {
	c := newCluster(t)
	item := c.Make(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "m"}, Data: map[string]string{"a": "1"}})
	c.gateway.AddAction("configmaps", "touch", c.encodeFound)
	const path, placeholders = "/api/v1/namespaces/default/configmaps/m/touch", "/api/v1/namespaces/{namespace}/configmaps/{name}/touch"
	admin, jane := leafOf(t, c.Admin), leafOf(t, c.Pair("jane", pki.Request{CommonName: "jane"}))
	if a := c.ask(admin, "POST", path, "{}", "Content-Type: application/json"); a.Code != 201 || a.Body != string(item.JSON) {
		t.Errorf("POST: %d %s", a.Code, a.Body)
	}
	if a := c.ask(admin, "GET", path, ""); a.Code != 405 {
		t.Errorf("GET: %d %s", a.Code, a.Body)
	}
	if a := c.ask(jane, "POST", path, "{}"); a.Code != 403 || !strings.Contains(a.Body, `cannot create resource \"configmaps/touch\"`) {
		t.Errorf("as jane: %d %s", a.Code, a.Body)
	}
	if got := c.served(); !slices.Contains(got, "POST "+placeholders) {
		t.Errorf("not served: %v", got)
	}
	for _, list := range []string{"/api/v1", "/openapi/v2"} {
		if a := c.ask(admin, "GET", list, ""); !strings.Contains(a.Body, "/touch") {
			t.Errorf("%s does not list it", list)
		}
	}
}

// encodeFound is the handler of an action that answers with the object.
func (c *cluster) encodeFound(w http.ResponseWriter, r *request.Request) error {
	item, err := c.Registry.Get(r.Context(), r.Kind, r.Scope(), r.Name, "")
	if err != nil {
		return err
	}
	return encode.Item(w, r, http.StatusCreated, item)
}
