package gateway_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/gatewaytest"
)

const cm = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"}}`

// TestStatusBodies compares the Status of errors with Kubernetes'.
func TestStatusBodies(t *testing.T) {
	c := gatewaytest.New(t)
	if a := c.As("POST", "/api/v1/namespaces/default/configmaps", cm); a.Code != 201 {
		t.Fatalf("making a: %d %s", a.Code, a.Body)
	}
	const maps = "/api/v1/namespaces/default/configmaps"
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		want                     string
	}{
		{"absent", "GET", maps + "/x", "", nil, 404,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"x\" not found","reason":"NotFound","details":{"name":"x","kind":"configmaps"},"code":404}`},
		{"absent in a group", "DELETE", "/apis/apps/v1/namespaces/default/deployments/x", "", nil, 404,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps \"x\" not found","reason":"NotFound","details":{"name":"x","group":"apps","kind":"deployments"},"code":404}`},
		{"taken", "POST", maps, cm, nil, 409,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"a\" already exists","reason":"AlreadyExists","details":{"name":"a","kind":"configmaps"},"code":409}`},
		{"stale", "PUT", maps + "/a", `{"metadata":{"name":"a","resourceVersion":"1"}}`, nil, 409,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"a","kind":"configmaps"},"code":409}`},
		{"stale by If-Match", "PUT", maps + "/a", `{"metadata":{"name":"a"}}`, []string{`If-Match: "1"`}, 409,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"a","kind":"configmaps"},"code":409}`},
		{"stale patch", "PATCH", maps + "/a", `{"metadata":{"resourceVersion":"1"}}`, []string{"Content-Type: application/merge-patch+json"}, 409,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","details":{"name":"a","kind":"configmaps"},"code":409}`},
		{"invalid", "POST", "/api/v1/namespaces/default/pods", `{"metadata":{"name":"P"},"spec":{"containers":[]}}`, nil, 422,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Pod \"P\" is invalid: [metadata.name: Invalid value: \"P\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), spec.containers: Required value]","reason":"Invalid","details":{"name":"P","kind":"Pod","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"P\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')","field":"metadata.name"},{"reason":"FieldValueRequired","message":"Required value","field":"spec.containers"}]},"code":422}`},
		{"rubbish", "POST", maps, `{"metadata":`, nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({\"metadata\":)","reason":"BadRequest","code":400}`},
		{"wrong type", "POST", maps, `{"metadata":{"name":"b"},"data":{"k":1}}`, nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string","reason":"BadRequest","code":400}`},
		{"unknown field, strict", "POST", maps + "?fieldValidation=Strict", `{"metadata":{"name":"b"},"foo":1}`, nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"foo\"","reason":"BadRequest","code":400}`},
		{"field twice in a patch, strict", "PATCH", maps + "/a?fieldValidation=Strict", `{"data":{"k":"1","k":"2"}}`, []string{"Content-Type: application/merge-patch+json"}, 422,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":" \"\" is invalid: patch: Invalid value: \"{\\\"data\\\":{\\\"k\\\":\\\"1\\\",\\\"k\\\":\\\"2\\\"}}\": strict decoding error: duplicate field \"data.k\"","reason":"Invalid","details":{"causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"{\\\"data\\\":{\\\"k\\\":\\\"1\\\",\\\"k\\\":\\\"2\\\"}}\": strict decoding error: duplicate field \"data.k\"","field":"patch"}]},"code":422}`},
		{"other namespace", "POST", maps, `{"metadata":{"name":"b","namespace":"other"}}`, nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the namespace of the provided object does not match the namespace sent on the request","reason":"BadRequest","code":400}`},
		{"other name", "PUT", maps + "/a", `{"metadata":{"name":"b"}}`, nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the name of the object (b) does not match the name on the URL (a)","reason":"BadRequest","code":400}`},
		{"bad dryRun", "POST", maps + "?dryRun=x", cm, nil, 422,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"x\"]: supported values: \"All\"","reason":"Invalid","details":{"group":"meta.k8s.io","kind":"CreateOptions","causes":[{"reason":"FieldValueNotSupported","message":"Unsupported value: [\"x\"]: supported values: \"All\"","field":"dryRun"}]},"code":422}`},
		{"unknown resource", "GET", "/api/v1/namespaces/default/things", "", nil, 404,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}`},
		{"unknown path", "GET", "/nothing", "", nil, 404, "404 page not found\n"},
		{"unknown group", "GET", "/apis/foo.com/v1/things", "", nil, 404, "404 page not found\n"},
		{"unknown version", "GET", "/apis/apps/v2/things", "", nil, 404,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server could not find the requested resource","reason":"NotFound","details":{},"code":404}`},
		{"unknown patch", "PATCH", maps + "/a", "{}", nil, 415,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"415: Unsupported Media Type","reason":"UnsupportedMediaType","details":{},"code":415}`},
		{"unknown type and options", "POST", maps + "?dryRun=x", "x", []string{"Content-Type: application/cbor"}, 415,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf","reason":"UnsupportedMediaType","code":415}`},
		{"no time", "GET", "/version?timeout=x", "", nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"invalid timeout specified in the request URL - time: invalid duration \"x\"","reason":"BadRequest","code":400}`},
		{"other uid", "DELETE", maps + "/a?resourceVersion=1", "", nil, 409, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Operation cannot be fulfilled on ConfigMap \"a\": ` +
			`the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (14). The object might have been modified","reason":"Conflict","details":{"name":"a","kind":"ConfigMap"},"code":409}`},
		{"method", "POST", maps + "/a", cm, nil, 405,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server does not allow this method on the requested resource","reason":"MethodNotAllowed","details":{},"code":405}`},
		{"apply without a manager", "PATCH", maps + "/a", cm, []string{"Content-Type: application/apply-patch+yaml"}, 422,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch","reason":"Invalid","details":{"group":"meta.k8s.io","kind":"PatchOptions","causes":[{"reason":"FieldValueRequired","message":"Required value: is required for apply patch","field":"fieldManager"}]},"code":422}`},
		{"large body", "POST", maps, `{"data":"` + strings.Repeat("x", decode.MaxBody) + `"}`, nil, 413,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Request entity too large: limit is 3145728","reason":"RequestEntityTooLarge","code":413}`},
		{"bad selector", "GET", maps + "?fieldSelector=spec.foo%3Dx", "", nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"\"spec.foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"","reason":"BadRequest","code":400}`},
		{"bad limit", "GET", maps + "?limit=x", "", nil, 400,
			`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"strconv.ParseInt: parsing \"x\": invalid syntax","reason":"BadRequest","code":400}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As(tt.method, tt.path, tt.body, tt.headers...)
			if a.Code != tt.code {
				t.Errorf("code %d, want %d", a.Code, tt.code)
			}
			if diff := cmp.Diff(tt.want, a.Body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPaths checks that ambiguous paths are refused.
func TestPaths(t *testing.T) {
	c := gatewaytest.New(t)
	for _, path := range []string{
		"/api/v1/namespaces/default/configmaps/..%2f..%2fsecrets", "/api/v1/namespaces/%2e%2e/configmaps/a", "/api/v1/namespaces//configmaps",
		"/api/v1/namespaces/default/configmaps/a%00b", "/api/v1/namespaces/default/configmaps/%2E", "/registry/pods/../secrets/a/b", "/registry//pods/a/b",
		"/api/v1/namespaces/default/configmaps/a%252fb", "/api/v1/namespaces/default/configmaps/a%2fb", "//api/v1/namespaces", "/api//v1/namespaces", "/apis//apps/v1/deployments",
		"/api/v1/namespaces/default//configmaps", "/api/v1/namespaces/default/configmaps//a", "//healthz", "/healthz/", "/registry%2Fpods%2Fdefault%2Fa", "/registry/pods/default/a/b/c/", "/registry/pods/default/..%2fx",
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", c.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = strings.Replace(c.URL, "https:", "", 1) + path // as it is, unclean
		resp, err := c.Client(c.Admin.Certificate).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 400 && resp.StatusCode != 404 {
			t.Errorf("%s: %s, want 400 or 404", path, resp.Status)
		}
	}
}

// TestCostlyBodies bounds what a body may cost.
func TestCostlyBodies(t *testing.T) {
	c := gatewaytest.New(t)
	const maps = "/api/v1/namespaces/default/configmaps"
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i+1, i+1, i, i, i, i, i, i, i)
	}
	for _, tt := range []struct{ name, body, kind string }{
		{"aliases", bomb, "application/yaml"},
		{"depth", strings.Repeat("[", 2<<20), "application/json"},
		{"depth of objects", strings.Repeat(`{"a":`, 100_000), "application/json"},
		{"digits", `{"metadata":{"name":"a","generation":1` + strings.Repeat("0", 1<<20) + `}}`, "application/json"},
		{"number", `1`, "application/json"},
		{"null", `null`, "application/json"},
		{"no protobuf", "k8s\x00" + strings.Repeat("\xff", 1000), "application/vnd.kubernetes.protobuf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("POST", maps, tt.body, "Content-Type: "+tt.kind)
			if a.Code != 400 && a.Code != 413 && a.Code != 422 {
				t.Errorf("%d %.200s, want 400, 413 or 422", a.Code, a.Body)
			}
		})
	}
}

var revisionText = regexp.MustCompile(`"resourceVersion":"(\d+)"`)

func revisionOf(t *testing.T, a gatewaytest.Answer) string {
	t.Helper()
	m := revisionText.FindStringSubmatch(a.Body)
	if m == nil {
		t.Fatalf("no resourceVersion in %s", a.Body)
	}
	return m[1]
}

// TestWarnings checks that a client is warned when it writes what it most likely does not mean, and not at every later update.
func TestWarnings(t *testing.T) {
	c := gatewaytest.New(t)
	const pods = "/api/v1/namespaces/default/pods"
	hostname := "299 - \"metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]\""
	for _, tt := range []struct {
		name, method, path, body, kind string
		code                           int
		want                           []string
	}{
		{"created", "POST", pods, `{"metadata":{"name":"a.b"},"spec":{"containers":[{"name":"c","image":"img"}]}}`, "application/json", 201, []string{hostname}},
		{"labelled", "PATCH", pods + "/a.b", `{"metadata":{"labels":{"x":"y"}}}`, "application/merge-patch+json", 200, nil},
		{"field twice", "PATCH", pods + "/a.b", `{"metadata":{"labels":{"x":"y","x":"z"}}}`, "application/merge-patch+json", 200, []string{`299 - "duplicate field \"metadata.labels.x\""`}},
		{"refused", "POST", pods, `{"metadata":{"name":"a.b"},"spec":{"containers":[{"name":"c","image":"img"}]}}`, "application/json", 409, []string{hostname}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As(tt.method, tt.path, tt.body, "Content-Type: "+tt.kind)
			if a.Code != tt.code {
				t.Fatalf("%d %s, want %d", a.Code, a.Body, tt.code)
			}
			if diff := cmp.Diff(tt.want, a.Header["Warning"]); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCauses: what a rule of admission tells of its refusal is in the Status.
func TestCauses(t *testing.T) {
	c := gatewaytest.New(t)
	for _, do := range []struct{ method, path, body string }{
		{"POST", "/api/v1/namespaces", `{"metadata":{"name":"shop"}}`},
		{"DELETE", "/api/v1/namespaces/shop", ""},
	} {
		if a := c.As(do.method, do.path, do.body); a.Code >= 300 {
			t.Fatalf("%s %s: %d %s", do.method, do.path, a.Code, a.Body)
		}
	}
	a := c.As("POST", "/api/v1/namespaces/shop/configmaps", cm)
	want := `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"a\" is forbidden: unable to create new content in namespace shop because it is being terminated","reason":"Forbidden",` +
		`"details":{"name":"a","kind":"configmaps","causes":[{"reason":"NamespaceTerminating","message":"namespace shop is being terminated","field":"metadata.namespace"}]},"code":403}`
	if diff := cmp.Diff(want, a.Body); a.Code != 403 || diff != "" {
		t.Errorf("code %d, body (-want +got):\n%s", a.Code, diff)
	}
}

// TestEvictionAnswers compares what evictions answer with Kubernetes.
func TestEvictionAnswers(t *testing.T) {
	c := gatewaytest.New(t)
	const ns = "/api/v1/namespaces/default/"
	const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	do := func(code int, method, path, body string) {
		t.Helper()
		if a := c.As(method, path, body, "Content-Type: "+map[bool]string{true: "application/merge-patch+json", false: "application/json"}[method == "PATCH"]); a.Code != code {
			t.Fatalf("%s %s: %d %s", method, path, a.Code, a.Body)
		}
	}
	for _, name := range []string{"p", "q"} {
		do(201, "POST", ns+"pods", `{"metadata":{"name":"`+name+`","labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"web:1"}]}}`)
		do(201, "POST", ns+"pods/"+name+"/binding", `{"target":{"kind":"Node","name":"n1"}}`)
		do(200, "PATCH", ns+"pods/"+name+"/status", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
	}
	evict := func(name string, code int, want string, headers ...string) {
		t.Helper()
		a := c.As("POST", ns+"pods/"+name+"/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"`+name+`"}}`)
		if diff := cmp.Diff(want, a.Body); a.Code != code || diff != "" {
			t.Errorf("%s: code %d, want %d; body (-want +got):\n%s", name, a.Code, code, diff)
		}
		if got := a.Header.Values("Retry-After"); strings.Join(got, "") != strings.Join(headers, "") {
			t.Errorf("%s: Retry-After %q, want %q", name, got, headers)
		}
	}
	refused := func(details string) string {
		return `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{` + details + `},"code":429}`
	}
	do(201, "POST", budgets, `{"metadata":{"name":"web"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}}`)
	evict("p", 429, refused(`"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web is still being processed by the server."}],"retryAfterSeconds":10`), "10")
	status := func(s string) {
		t.Helper()
		do(200, "PATCH", budgets+"/web/status", `{"status":{"observedGeneration":1,"expectedPods":2,"currentHealthy":2,`+s+`}}`)
	}
	status(`"desiredHealthy":2,"disruptionsAllowed":0`)
	evict("p", 429, refused(`"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web needs 2 healthy pods and has 2 currently"}]`))
	status(`"desiredHealthy":1,"disruptionsAllowed":1`)
	evict("p", 201, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}`)
	if a := c.As("GET", budgets+"/web", ""); !strings.Contains(a.Body, `"disruptedPods":{"p":"`) || !strings.Contains(a.Body, `"reason":"InsufficientPods"`) {
		t.Errorf("the budget after an eviction: %s", a.Body)
	}
	if a := c.As("GET", ns+"pods/p", ""); !strings.Contains(a.Body, `"reason":"EvictionByEvictionAPI"`) || !strings.Contains(a.Body, `"deletionTimestamp"`) {
		t.Errorf("the pod that is evicted: %s", a.Body)
	}
	if a := c.As("POST", ns+"pods/q/eviction", `{"metadata":{"name":"q"},"deleteOptions":{"ignoreStoreReadErrorWithClusterBreakingPotential":true}}`); a.Code != 422 ||
		!strings.Contains(a.Body, `"message":"Eviction.policy \"q\" is invalid: deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: can not be set for pod eviction, try after removing the option"`) {
		t.Errorf("an option that evictions do not have: %d %s", a.Code, a.Body)
	}
	do(201, "POST", budgets, `{"metadata":{"name":"more"},"spec":{"minAvailable":1,"selector":{}}}`)
	evict("q", 500, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.","code":500}`)
}
