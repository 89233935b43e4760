package gateway_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"gantry/agents/gateway/gatewaytest"
)

const mapsPath = gatewaytest.MapsPath

// TestBytesAreTheObjects shows that a path and an etcd key give the same bytes, that a list is made of them, and what the ETag
// is for.
func TestBytesAreTheObjects(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(3, "x")
	one := c.As("GET", mapsPath+"/m001", "")
	two := c.As("GET", "/registry/configmaps/default/m001", "")
	if one.Code != 200 || one.Body != two.Body {
		t.Fatalf("path and key differ:\n%d %s\n%d %s", one.Code, one.Body, two.Code, two.Body)
	}
	if got, want := one.Header.Get("ETag"), `"`+revisionOf(t, one)+`"`; got != want {
		t.Errorf("ETag %s, want %s", got, want)
	}
	if a := c.As("GET", mapsPath+"/m001", "", "If-None-Match: "+one.Header.Get("ETag")); a.Code != 304 || a.Body != "" {
		t.Errorf("asked again: %d %q, want 304 and nothing", a.Code, a.Body)
	}
	for _, path := range []string{mapsPath, "/registry/configmaps/default/", "/registry/configmaps/default/?labelSelector=n%3D1"} {
		l := c.As("GET", path, "")
		var list corev1.ConfigMapList
		if err := json.Unmarshal([]byte(l.Body), &list); err != nil {
			t.Fatalf("%v in %s", err, l.Body)
		}
		if !strings.Contains(l.Body, one.Body) || list.Kind != "ConfigMapList" || list.ResourceVersion == "" {
			t.Errorf("%s does not hold the object's bytes: %s", path, l.Body)
		}
	}
	put := c.As("PUT", "/registry/configmaps/default/m001", `{"data":{"d":"y"}}`, "If-Match: "+one.Header.Get("ETag"))
	if put.Code != 200 || !strings.Contains(put.Body, `"d":"y"`) || put.Header.Get("ETag") == one.Header.Get("ETag") {
		t.Errorf("PUT by key: %d %s", put.Code, put.Body)
	}
	if a := c.As("PUT", "/registry/configmaps/default/m001", `{"data":{}}`, "If-Match: "+one.Header.Get("ETag")); a.Code != 409 {
		t.Errorf("a second PUT with the old ETag: %d %s, want 409", a.Code, a.Body)
	}
	if a := c.As("PUT", "/registry/configmaps/default/new", `{"data":{}}`, "If-None-Match: *"); a.Code != 201 {
		t.Errorf("PUT with If-None-Match: %d %s, want 201", a.Code, a.Body)
	}
	if a := c.As("PUT", "/registry/configmaps/default/new", `{"data":{}}`, "If-None-Match: *"); a.Code != 409 {
		t.Errorf("the same again: %d %s, want 409", a.Code, a.Body)
	}
	if a := c.As("DELETE", "/registry/configmaps/default/new", ""); a.Code != 200 || !strings.Contains(a.Body, `"status":"Success"`) {
		t.Errorf("DELETE: %d %s", a.Code, a.Body)
	}
}

func TestPages(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(5, "x")
	var names []string
	path := mapsPath + "?limit=2"
	for token := ""; ; {
		var list corev1.ConfigMapList
		a := c.As("GET", path+"&continue="+token, "")
		if err := json.Unmarshal([]byte(a.Body), &list); err != nil || a.Code != 200 {
			t.Fatalf("%d %v %s", a.Code, err, a.Body)
		}
		for _, m := range list.Items {
			names = append(names, m.Name)
		}
		if token = list.Continue; token == "" {
			break
		}
		if list.RemainingItemCount == nil {
			t.Error("no remainingItemCount on a page that is not the last")
		}
	}
	if diff := cmp.Diff([]string{"m000", "m001", "m002", "m003", "m004"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestShapes(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(2, "x")
	const table = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
	for _, tt := range []struct{ name, path, accept, want string }{
		{"yaml", mapsPath + "/m000", "Accept: application/yaml", "apiVersion: v1\ndata:\n  d: x\nkind: ConfigMap\n"},
		{"table", mapsPath, table, `"columnDefinitions":[{"name":"Name","type":"string","format":"name"`},
		{"rows carry metadata", mapsPath, table, `"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"m000"`},
		{"or nothing", mapsPath + "?includeObject=None", table, `"object":null`},
		{"or everything", mapsPath + "?includeObject=Object", table, `"object":{"kind":"ConfigMap","apiVersion":"v1"`},
		{"one object's table", mapsPath + "/m000", table, `"rows":[{"cells":["m000",1,`},
		{"partial", mapsPath + "/m000", "Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"m000"`},
		{"partial list", mapsPath, "Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"`},
		{"protobuf or JSON is JSON", mapsPath, "Accept: application/vnd.kubernetes.protobuf,application/json", `{"kind":"ConfigMapList","apiVersion":"v1"`},
		{"pretty", mapsPath + "/m000?pretty=true", "Accept: application/json", "{\n  \"kind\": \"ConfigMap\",\n"},
		{"discovery at once", "/apis", "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2"`},
		{"in its old version, which is no more", "/api", "Accept: application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", `"APIVersions"`},
		{"plain", "/apis", "Accept: application/json", `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apiregistration.k8s.io"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := c.As("GET", tt.path, "", tt.accept); a.Code != 200 || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %s\nwant in it %s", a.Code, a.Body, tt.want)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(20, strings.Repeat("text ", 4000))
	plain := c.As("GET", mapsPath, "")
	if plain.Header.Get("Content-Length") == "" || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("a plain list has the headers %v", plain.Header)
	}
	small := c.As("GET", mapsPath+"?limit=1", "", "Accept-Encoding: gzip")
	if small.Header.Get("Content-Encoding") != "" {
		t.Error("a small list is deflated")
	}
	a := c.As("GET", mapsPath, "", "Accept-Encoding: gzip")
	if a.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("a list of %d bytes is not deflated: %v", len(plain.Body), a.Header)
	}
	z, err := gzip.NewReader(strings.NewReader(a.Body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != plain.Body {
		t.Error("inflated it is another list")
	}
}

// TestWatch follows a namespace with client-go while it changes.
func TestWatch(t *testing.T) {
	c := gatewaytest.New(t)
	maps := c.Clientset(c.Admin).CoreV1().ConfigMaps("default")
	list, err := maps.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := maps.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion, LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m"}}
	if m, err = maps.Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, labels := range []map[string]string{{"app": "web"}, {"app": "web", "x": "y"}, nil} {
		m.Labels = labels
		if m, err = maps.Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		select {
		case ev := <-w.ResultChan():
			if ev.Type != want {
				t.Fatalf("got %v, want %v", ev, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("no event, want %v", want)
		}
	}
}

// TestWatchLines checks the lines that are sent.
func TestWatchLines(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(2, "x")
	for _, tt := range []struct {
		name, query, accept string
		want                []string
	}{
		{"from the start", "?watch=1&timeoutSeconds=1", "application/json", []string{`{"type":"ADDED","object":{"kind":"ConfigMap"`, `{"type":"ADDED"`}},
		{"initial events with their end", "?watch=1&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan", "application/json",
			[]string{`{"type":"ADDED"`, `{"type":"ADDED"`, `{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"`}},
		{"tables", "?watch=1&timeoutSeconds=1", "application/json;as=Table;v=v1;g=meta.k8s.io",
			[]string{`{"type":"ADDED","object":{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"`, `"columnDefinitions":null,"rows":[{"cells":["m001"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("GET", mapsPath+tt.query, "", "Accept: "+tt.accept)
			if a.Code != 200 || a.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%d %v %s", a.Code, a.Header, a.Body)
			}
			lines := strings.Split(strings.TrimSpace(a.Body), "\n")
			for i, want := range tt.want {
				if i >= len(lines) || !strings.Contains(lines[i], want) {
					t.Fatalf("line %d: got\n%s\nwant in it %s", i, a.Body, want)
				}
			}
		})
	}
}

// TestLegacyWatchPaths shows that /api/v1/watch/... watches a collection or one object, and serves GET alone.
func TestLegacyWatchPaths(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(2, "x")
	const watch, once = "/api/v1/watch", "?timeoutSeconds=1"
	for _, tt := range []struct {
		name, method, path string
		code               int
		events             []string
	}{
		{"a collection", "GET", watch + "/namespaces/default/configmaps" + once + "&labelSelector=n", 200, []string{"m000", "m001"}},
		{"in all namespaces", "GET", watch + "/configmaps" + once + "&labelSelector=n", 200, []string{"m000", "m001"}},
		{"one object", "GET", watch + "/namespaces/default/configmaps/m001" + once, 200, []string{"m001"}},
		{"a namespace", "GET", watch + "/namespaces/default" + once, 200, []string{"default"}},
		{"one object and its own selector", "GET", watch + "/namespaces/default/configmaps/m001" + once + "&fieldSelector=metadata.name%3Dm001", 200, []string{"m001"}},
		{"another object's selector", "GET", watch + "/namespaces/default/configmaps/m001" + once + "&fieldSelector=metadata.name%3Dm000", 400, nil},
		{"an object without its namespace", "GET", watch + "/configmaps/m001", 404, nil},
		{"a subresource", "GET", watch + "/namespaces/default/pods/x/status", 404, nil},
		{"a delete", "DELETE", watch + "/namespaces/default/configmaps/m001", 405, nil},
		{"a post", "POST", watch + "/namespaces/default/configmaps", 405, nil},
		{"no kind", "GET", watch + "/bogus", 404, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As(tt.method, tt.path, "")
			var got []string
			for line := range strings.Lines(a.Body) {
				var ev struct {
					Type   string
					Object metav1.PartialObjectMetadata
				}
				if a.Code == 200 && json.Unmarshal([]byte(line), &ev) == nil && ev.Type == "ADDED" {
					got = append(got, ev.Object.Name)
				}
			}
			slices.Sort(got)
			if a.Code != tt.code || !slices.Equal(got, tt.events) {
				t.Errorf("got %d %v, want %d %v:\n%s", a.Code, got, tt.code, tt.events, a.Body)
			}
		})
	}
}

// TestWatchOfLargeObjects checks that large objects, which are sent in pieces, arrive whole and in order among small ones.
func TestWatchOfLargeObjects(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(1, "x")
	rev := c.As("GET", mapsPath+"/m000", "").Header.Get("ETag")
	var want []int
	const buffer, copied = 32 << 10, 8 << 10 // bytes: how large a watcher's buffer is, and how large an object that is not copied into it
	for i, size := range []int{1, copied, 3 * buffer, 10, buffer, copied - 1, 500 << 10} {
		a := c.As("PUT", mapsPath+"/m000", fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"m000"},"data":{"d":"%d%s"}}`, i, strings.Repeat("y", size)))
		if a.Code != 200 {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
		want = append(want, size+1)
	}
	a := c.As("GET", mapsPath+"?watch=1&timeoutSeconds=1&resourceVersion="+strings.Trim(rev, `"`), "")
	var got []int
	for line := range strings.Lines(a.Body) {
		var ev struct {
			Type   string
			Object corev1.ConfigMap
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil || ev.Type != "MODIFIED" || ev.Object.Data["d"][0] != byte('0'+len(got)) {
			t.Fatalf("event %d: %v, %.100s", len(got), err, line)
		}
		got = append(got, len(ev.Object.Data["d"]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestStopEndsWatches shows that a gateway that stops ends its watches as if their time were over.
func TestStopEndsWatches(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		t.Run(fmt.Sprint("http2 ", http2), func(t *testing.T) {
			c := gatewaytest.New(t)
			client := c.Client(c.Admin.Certificate)
			if !http2 {
				client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
				client.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
			req, err := http.NewRequestWithContext(t.Context(), "GET", c.URL+mapsPath+"?watch=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := resp.ProtoMajor == 2; got != http2 {
				t.Fatalf("spoke %s", resp.Proto)
			}
			c.Stop()
			if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != io.EOF {
				t.Errorf("the watch ended with %q, %v, want EOF", line, err)
			}
		})
	}
}

// TestHeads: where Kubernetes' router is asked there is no HEAD; a key's value has one. An audit id is the client's.
func TestHeads(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(1, "x")
	for _, tt := range []struct {
		path string
		code int
	}{
		{mapsPath, 405}, {mapsPath + "/m000", 405}, {"/version", 405}, {"/api", 405}, {"/api/v1", 405}, {"/apis/apps/v1", 405},
		{"/apis", 200}, {"/apis/apps", 200}, {"/healthz", 200}, {"/openapi/v2", 200}, {"/registry/configmaps/default/m000", 200},
	} {
		a := c.As("HEAD", tt.path, "", "Audit-Id: mine")
		if a.Code != tt.code || a.Body != "" || a.Header.Get("Audit-Id") != "mine" {
			t.Errorf("%s: %d %q, audit id %q, want %d", tt.path, a.Code, a.Body, a.Header.Get("Audit-Id"), tt.code)
		}
	}
	if a := c.As("POST", "/api/v1/namespaces?dryRun=All", `{"metadata":{"name":"n","namespace":"other"}}`); a.Code != 201 {
		t.Errorf("a namespace in a namespace: %d %s", a.Code, a.Body)
	}
}
