package gateway_test

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gantry/agents/gateway/gatewaytest"
	"gantry/schema"
	"gantry/schema/kinds/kindstest"
)

// TestVersionsOfAKind adds a kind to a running gateway, and writes and reads it in each of its versions.
func TestVersionsOfAKind(t *testing.T) {
	c := gatewaytest.New(t)
	const (
		stored = "/apis/routes.example.com/v1/namespaces/default/routes"
		legacy = "/apis/legacy.example.com/v1beta1/namespaces/default/routes"
	)
	if a := c.As("GET", stored, ""); a.Code != 404 {
		t.Fatalf("before it is there: %d %s", a.Code, a.Body)
	}
	k := kindstest.Route()
	if err := c.Registry.Kinds().Add(k); err != nil {
		t.Fatal(err)
	}
	want := func(a gatewaytest.Answer, code int, texts ...string) {
		t.Helper()
		if a.Code != code {
			t.Fatalf("%d %s, want %d", a.Code, a.Body, code)
		}
		for _, text := range texts {
			if !strings.Contains(a.Body, text) {
				t.Errorf("%s has no %s", a.Body, text)
			}
		}
	}
	for _, path := range []string{"/apis/routes.example.com/v1", "/apis/legacy.example.com/v1beta1"} {
		want(c.As("GET", path, ""), 200, `"name":"routes/status"`, `"shortNames":["rt"]`)
	}
	created := c.As("POST", legacy, `{"metadata":{"name":"a","annotations":{"legacy.example.com/class":"internal"}}}`)
	want(created, 201, `{"kind":"Route","apiVersion":"legacy.example.com/v1beta1","metadata":{"name":"a"`, `"legacy.example.com/class":"internal"`)
	if got := created.Header["Warning"]; len(got) != 1 || !strings.Contains(got[0], "v1beta1 Route is deprecated") {
		t.Errorf("warnings %q", got)
	}
	want(c.As("GET", stored+"/a", ""), 200, `"apiVersion":"routes.example.com/v1"`, `"ingressClassName":"internal"`)
	want(c.As("GET", "/registry/routes.example.com/routes/default/a", ""), 200, `"apiVersion":"routes.example.com/v1"`)
	want(c.As("PATCH", legacy+"/a", `{"metadata":{"annotations":{"legacy.example.com/class":"external"}}}`, "Content-Type: application/merge-patch+json"),
		200, `"apiVersion":"legacy.example.com/v1beta1"`, `"legacy.example.com/class":"external"`)
	want(c.As("GET", legacy+"?fieldSelector=class=external", ""), 200, `{"kind":"RouteList","apiVersion":"legacy.example.com/v1beta1"`,
		`"items":[{"kind":"Route","apiVersion":"legacy.example.com/v1beta1"`)
	want(c.As("GET", stored+"?fieldSelector=class=external", ""), 400, "field label not supported: class")
	const table = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io"
	want(c.As("GET", legacy, "", table), 200, `"name":"Legacy Class"`, `"cells":["a","external"]`)
	want(c.As("GET", stored, "", table), 200, `"name":"Class"`, `"cells":["a","external"]`)
	put := strings.Replace(c.As("GET", legacy+"/a", "").Body, `"external"`, `"internal"`, 1)
	want(c.As("PUT", legacy+"/a", put), 200, `"legacy.example.com/class":"internal"`)
	want(c.As("PUT", legacy+"/a", put), 409, "the object has been modified")

	events, err := http.NewRequestWithContext(t.Context(), "GET", c.URL+legacy+"?watch=1&resourceVersion=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.Client(c.Admin.Certificate).Do(events)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	next := func(texts ...string) {
		t.Helper()
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		for _, text := range texts {
			if !strings.Contains(lines.Text(), text) {
				t.Errorf("event %s has no %s", lines.Text(), text)
			}
		}
	}
	next(`{"type":"ADDED","object":{"kind":"Route","apiVersion":"legacy.example.com/v1beta1"`, `"legacy.example.com/class":"internal"`)
	want(c.As("DELETE", stored+"/a", ""), 200)
	next(`{"type":"DELETED","object":{"kind":"Route","apiVersion":"legacy.example.com/v1beta1"`)

	c.Registry.Kinds().Remove(k)
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("the watch does not end with its kind: %s, %v", lines.Text(), lines.Err())
	}
	want(c.As("GET", legacy, ""), 404)
	want(c.As("GET", "/apis/legacy.example.com/v1beta1", ""), 404)
}

// TestVersionsOfAGroup checks that a group lists its versions with the preferred one first, in both forms of discovery.
func TestVersionsOfAGroup(t *testing.T) {
	c := gatewaytest.New(t)
	if err := c.Registry.Kinds().Add(kindstest.Widget()); err != nil {
		t.Fatal(err)
	}
	in := func(path string, accept ...string) []int {
		t.Helper()
		a := c.As("GET", path, "", accept...)
		var at []int
		for _, v := range []string{`"v1"`, `"v1beta1"`, `"v1alpha1"`} {
			_, group, _ := strings.Cut(a.Body, `"name":"example.com"`)
			at = append(at, strings.Index(group, `"version":`+v))
		}
		return at
	}
	plain := in("/apis/example.com")
	aggregated := in("/apis", "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	for _, at := range [][]int{plain, in("/apis"), aggregated} {
		if slices.Contains(at, -1) || !slices.IsSorted(at) {
			t.Errorf("versions at %v", at)
		}
	}
	const path = "/apis/example.com/%s/namespaces/default/widgets"
	for _, tt := range []struct {
		method, path, body string
		code               int
		has                string
	}{
		{"POST", "", `{"metadata":{"name":"a"}}`, 400, `the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing in`},
		{"POST", "", `{"kind":"Widget","metadata":{"name":"a"}}`, 400, `the API version in the data () does not match the expected API version (example.com/v1)`},
		{"POST", "", `{"apiVersion":"example.com/v1","kind":"Other","metadata":{"name":"a"}}`, 422, `Other.example.com \"a\" is invalid: kind: Invalid value: \"Other\": must be Widget`},
		{"POST", "", `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":1}}`, 400, `json: cannot unmarshal number into Go struct field ObjectMeta.name of type string`},
		{"GET", "/a/bogus", "", 404, `widgets.example.com \"a\" not found`},
		{"PUT", "", `{}`, 400, "name must be provided"},
		{"OPTIONS", "/a", "", 405, `is not supported on resources of kind \"widgets.example.com\"`},
		{"GET", "", "", 200, `"metadata":{"continue":"","resourceVersion":`},
	} {
		if a := c.As(tt.method, strings.Replace(path, "%s", "v1", 1)+tt.path, tt.body); a.Code != tt.code || !strings.Contains(a.Body, tt.has) {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, a.Code, a.Body)
		}
	}
	if a := c.As("POST", strings.Replace(path, "%s", "v1beta1", 1), `{"apiVersion":"example.com/v1beta1","kind":"Widget","metadata":{"name":"a"},"spec":{"size":2}}`); a.Code != 201 || !strings.Contains(a.Body, `"size":2`) {
		t.Errorf("POST in v1beta1: %d %s", a.Code, a.Body)
	}
	if a := c.As("GET", strings.Replace(path, "%s", "v1", 1)+"/a/scale", ""); a.Code != 200 || !strings.Contains(a.Body, `"spec":{"replicas":2}`) {
		t.Errorf("scale: %d %s", a.Code, a.Body)
	}
	if a := c.As("GET", strings.Replace(path, "%s", "v1alpha1", 1), ""); a.Code != 200 || !strings.Contains(a.Body, `"apiVersion":"example.com/v1alpha1"`) || !strings.Contains(a.Body, `"replicas":2`) {
		t.Errorf("list in v1alpha1: %d %s", a.Code, a.Body)
	}
}

// TestKindThatIsDefinedAnew reads an object while the definition of its kind changes again and again.
func TestKindThatIsDefinedAnew(t *testing.T) {
	c := gatewaytest.New(t)
	kinds, k := c.Registry.Kinds(), kindstest.Route()
	if err := kinds.Add(k); err != nil {
		t.Fatal(err)
	}
	const path = "/apis/routes.example.com/v1/namespaces/default/routes"
	if a := c.As("POST", path, `{"metadata":{"name":"a"}}`); a.Code != 201 {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	read, written := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-read:
				written <- nil
				return
			default:
			}
			next := kindstest.Route()
			err := kinds.Update(func(s *schema.Set) (*schema.Set, error) { return s.Without(k).With(next) })
			if k = next; err != nil {
				written <- err
				return
			}
		}
	}()
	for range 8 {
		if a := c.As("GET", path+"/a", ""); a.Code != 200 && a.Code != 429 {
			t.Errorf("GET: %d %s", a.Code, a.Body)
		}
		patch := c.As("PATCH", path+"/a", `{"metadata":{"labels":{"x":"y"}}}`, "Content-Type: application/merge-patch+json")
		if patch.Code != 200 && (patch.Code != 429 || patch.Header.Get("Retry-After") != "1") {
			t.Errorf("PATCH: %d %s", patch.Code, patch.Body)
		}
	}
	close(read)
	if err := <-written; err != nil {
		t.Error(err)
	}
}
