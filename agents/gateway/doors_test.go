package gateway_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/schema"
)

// door is an object at its Kubernetes path and at its key in etcd.
type door struct {
	kind     *schema.Kind
	object   map[string]any // a valid one, with its name
	path     string
	absent   string // another object's path, which is absent
	key      string
	noKey    string
	creation string // of the object: a path
}

const doorName = "example"

// doorOf reads the oracle's example of a kind. Those of two versions of a group have the version in their file's name.
func doorOf(t *testing.T, k *schema.Kind) door {
	t.Helper()
	v := k.Stored()
	text, err := os.ReadFile("../../integration/oracle/testdata/examples/" + cmp.Or(v.Group, "core") + "_" + strings.ToLower(v.Kind) + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := door{kind: k, object: map[string]any{}}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(string(text), "NAMESPACE", "default")), &d.object); err != nil {
		t.Fatal(err)
	}
	meta, _ := d.object["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		d.object["metadata"] = meta
	}
	name, _ := meta["name"].(string)
	if name == "" {
		name = doorName
		meta["name"] = name
	}
	d.object["apiVersion"], d.object["kind"] = v.APIVersion(), v.Kind
	root, namespace := "/apis/"+v.APIVersion(), ""
	if v.Group == "" {
		root = "/api/" + v.Version
	}
	if k.Namespaced {
		root, namespace = root+"/namespaces/default", "default"
	}
	d.creation = root + "/" + k.Plural
	d.path, d.absent = d.creation+"/"+name, d.creation+"/absent"
	d.key, d.noKey = "/"+path.Join("registry", k.Prefix, namespace, name), "/"+path.Join("registry", k.Prefix, namespace, "absent")
	return d
}

// body is the object with some members of it, and of its metadata, changed: "metadata.labels={}"; nil removes.
func (d door) body(t *testing.T, edits map[string]any) string {
	t.Helper()
	data, err := json.Marshal(d.object)
	if err != nil {
		t.Fatal(err)
	}
	var obj map[string]any
	if err := json.Unmarshal(data, &obj); err != nil {
		t.Fatal(err)
	}
	for at, value := range edits {
		in := obj
		if name, ok := strings.CutPrefix(at, "metadata."); ok {
			in, at = obj["metadata"].(map[string]any), name
		}
		if in[at] = value; value == nil {
			delete(in, at)
		}
	}
	if data, err = json.Marshal(obj); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// doorRequest is a request as it is sent through both doors.
type doorRequest struct {
	method, query string
	edits         map[string]any // of the object, which is the body
	body          string         // instead of the object
	header        string
	absent        bool // of an object that does not exist
}

const dry = "dryRun=All"

// doorRequests are the writes that are tried. All but those that fail are trials.
func doorRequests() []doorRequest {
	type change = map[string]any
	const merge, other = "Content-Type: application/merge-patch+json", "12345678-1234-1234-1234-123456789abc"
	return []doorRequest{
		{method: "PUT", query: dry},
		{method: "PUT", query: dry, edits: change{"metadata.labels": change{"a": "b"}}},
		{method: "PUT", query: dry, edits: change{"metadata.labels": change{"a/b/c": "b"}}},
		{method: "PUT", query: dry, edits: change{"metadata.annotations": change{"a b": "b"}, "metadata.finalizers": []string{"x"}}},
		{method: "PUT", query: dry, edits: change{"metadata.resourceVersion": "1"}},
		{method: "PUT", query: dry, edits: change{"metadata.resourceVersion": "x"}},
		{method: "PUT", query: dry, edits: change{"metadata.uid": other}},
		{method: "PUT", query: dry, edits: change{"metadata.name": "other"}},
		{method: "PUT", query: dry, edits: change{"metadata.namespace": "other"}},
		{method: "PUT", query: dry, edits: change{"apiVersion": "v9"}},
		{method: "PUT", query: dry, edits: change{"apiVersion": "v1", "kind": "Wrong"}},
		{method: "PUT", query: dry, edits: change{"apiVersion": nil, "kind": nil}},
		{method: "PUT", query: dry, edits: change{"metadata": change{"name": doorName}, "spec": nil}},
		{method: "PUT", query: dry, edits: change{"spec": "x"}},
		{method: "PUT", query: dry, edits: change{"status": change{"x": 1}}},
		{method: "PUT", query: dry, edits: change{"zzz": 1}},
		{method: "PUT", query: dry + "&fieldValidation=Strict", edits: change{"zzz": 1}},
		{method: "PUT", query: dry + "&fieldValidation=Ignore", edits: change{"zzz": 1}},
		{method: "PUT", query: dry + "&fieldValidation=x"},
		{method: "PUT", query: "dryRun=x"},
		{method: "PUT", query: dry + "&fieldManager=a%00b"},
		{method: "PUT", body: "{"}, {method: "PUT", body: "[]"}, {method: "PUT", body: "null"}, {method: "PUT", body: "x"},
		{method: "PUT", query: dry, header: "Content-Type: application/yaml"},
		{method: "PUT", query: dry, header: "Content-Type: text/plain"},
		{method: "PUT", query: dry, header: "Accept: application/yaml"},
		{method: "PUT", query: dry, header: "Accept: text/html"},
		{method: "PUT", query: dry, header: "Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"},
		{method: "PUT", query: dry, header: `If-Match: "1"`},
		{method: "PUT", query: dry, header: `If-Match: 1`},
		{method: "PUT", query: dry, header: `If-Match: *`},
		{method: "PUT", query: dry, header: `If-None-Match: *`},
		{method: "PUT", query: dry, absent: true, edits: change{"metadata.name": "absent"}},
		{method: "PUT", query: dry, absent: true, edits: change{"metadata.name": "absent"}, header: "If-None-Match: *"},
		{method: "PATCH", query: dry, body: `{"metadata":{"labels":{"a":"b"}}}`, header: merge},
		{method: "PATCH", query: dry, body: `{"metadata":{"labels":{"a":"b c"}}}`, header: merge},
		{method: "PATCH", query: dry, body: `{"metadata":{"resourceVersion":"1"}}`, header: merge},
		{method: "PATCH", query: dry, body: `{"metadata":{"annotations":{"a":"b"}}}`, header: "Content-Type: application/strategic-merge-patch+json"},
		{method: "PATCH", query: dry, body: `[{"op":"add","path":"/metadata/annotations","value":{"a":"b"}}]`, header: "Content-Type: application/json-patch+json"},
		{method: "PATCH", query: dry, body: `{}`, header: "Content-Type: application/json"},
		{method: "PATCH", query: dry, body: `{}`, header: merge, absent: true},
		{method: "PATCH", query: dry + "&fieldManager=m", header: applyType},
		{method: "PATCH", query: dry, header: applyType},
		{method: "DELETE", query: dry}, {method: "DELETE", query: dry, absent: true}, {method: "DELETE", query: "dryRun=x"},
		{method: "DELETE", query: dry + "&propagationPolicy=Foreground"},
		{method: "DELETE", query: dry + "&propagationPolicy=x"},
		{method: "DELETE", query: dry + "&gracePeriodSeconds=5"},
		{method: "DELETE", query: dry, body: `{"preconditions":{"uid":"` + other + `"}}`},
		{method: "DELETE", query: dry, body: `{"preconditions":{"resourceVersion":"1"}}`},
		{method: "DELETE", query: dry, body: `{"kind":"Pod","apiVersion":"v1"}`},
		{method: "DELETE", body: `{"a":`},
		{method: "DELETE", query: dry, header: `If-Match: "1"`},
		{method: "POST", query: dry},
	}
}

// through sends a request through a door.
func (d door) through(t *testing.T, c *gatewaytest.Cluster, client *http.Client, r doorRequest, at, absent string) gatewaytest.Answer {
	t.Helper()
	if r.absent {
		at = absent
	}
	body := r.body
	if body == "" && r.method != "DELETE" {
		body = d.body(t, r.edits)
	}
	return c.Do(client, r.method, at+"?"+r.query, body, r.header)
}

// TestDoorsAreAlike writes an object of every kind by its path and by its key, as those who may and those who may not, and at last deletes it by its key.
func TestDoorsAreAlike(t *testing.T) {
	c := gatewaytest.New(t)
	users := map[string]*http.Client{
		"admin": c.Client(c.Admin.Certificate),
		"jane":  c.Client(c.Pair("jane", pki.Request{CommonName: "jane"}).Certificate),
		"node":  c.Client(c.Node("n").Certificate),
	}
	codes := map[int]int{}
	for _, k := range c.Registry.Kinds().Set().All {
		if !slices.Contains(k.AllVerbs(), "create") {
			continue
		}
		d := doorOf(t, k)
		if a := c.Do(users["admin"], "POST", d.creation, d.body(t, nil)); a.Code != 201 {
			t.Fatalf("%s: the example is refused: %d %s", k.GR(), a.Code, a.Body)
		}
		for _, r := range doorRequests() {
			for _, user := range []string{"admin", "jane", "node"} {
				if user != "admin" && (len(r.edits) > 1 || r.body == "" && r.header != "" || r.query != dry) {
					continue // it is refused, or allowed, like another one
				}
				byPath, byKey := d.through(t, c, users[user], r, d.path, d.absent), d.through(t, c, users[user], r, d.key, d.noKey)
				codes[byPath.Code]++
				if diff := differ(byPath, byKey); diff != "" {
					t.Errorf("%s %+v as %s: %s", k.GR(), r, user, diff)
				}
			}
		}
		if got, want := c.Do(users["admin"], "GET", d.key, ""), c.Do(users["admin"], "GET", d.path, ""); got.Code != 200 || got.Body != want.Body {
			t.Errorf("%s after the trials by key: %d %s\nby path: %s", k.GR(), got.Code, got.Body, want.Body)
		}
		if a := c.Do(users["admin"], "DELETE", d.key+"?gracePeriodSeconds=0", ""); a.Code != 200 {
			t.Errorf("%s deleted by key: %d %s", k.GR(), a.Code, a.Body)
		}
		a := c.Do(users["admin"], "GET", d.path, "")
		if gone := a.Code == 404 || a.Has(`"deletionTimestamp":`); !gone {
			t.Errorf("%s is there after it was deleted by key: %d %s", k.GR(), a.Code, a.Body)
		}
	}
	for _, code := range []int{200, 201, 400, 403, 404, 405, 406, 409, 415, 422} {
		if codes[code] == 0 {
			t.Errorf("no request was answered with %d", code)
		}
	}
}

// differ says how two answers differ; "": they are alike.
func differ(a, b gatewaytest.Answer) string {
	headers := func(h http.Header) string {
		return fmt.Sprint(h["Content-Type"], h["Warning"], h["Etag"], h["Vary"], h["Allow"], h["Cache-Control"])
	}
	switch {
	case a.Code != b.Code, chosen.ReplaceAllString(a.Body, "") != chosen.ReplaceAllString(b.Body, ""):
		return fmt.Sprintf("by path %d %s\nby key %d %s", a.Code, a.Body, b.Code, b.Body)
	case headers(a.Header) != headers(b.Header):
		return fmt.Sprintf("by path %s, by key %s", headers(a.Header), headers(b.Header))
	}
	return ""
}

// chosen is what an answer has that the gateway chooses for each.
var chosen = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|10\.96\.\d+\.\d+|kube-api-access-\w{5}`)
