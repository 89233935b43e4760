package request_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/gatewaytest"
)

// inProtobuf is an object in protobuf under a kind.
func inProtobuf(t *testing.T, apiVersion, kind string, obj interface{ Marshal() ([]byte, error) }) string {
	t.Helper()
	raw, err := obj.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	field := func(tag byte, data string) string { return string([]byte{tag, byte(len(data))}) + data }
	return "k8s\x00" + field(0x0a, field(0x0a, apiVersion)+field(0x12, kind)) + field(0x12, string(raw))
}

// TestListParameters: what is wrong with them, in Kubernetes' words.
func TestListParameters(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(2, "x")
	for _, tt := range []struct {
		name, query string
		code        int
		want        string
	}{
		{"match without a version", "resourceVersionMatch=Exact", 422, "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"match in a page", "resourceVersion=5&resourceVersionMatch=Exact&continue=x", 422, "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"},
		{"unknown match", "resourceVersion=5&resourceVersionMatch=Some", 422, `resourceVersionMatch: Unsupported value: "Some": supported values: "Exact", "NotOlderThan", ""`},
		{"exactly any", "resourceVersion=0&resourceVersionMatch=Exact", 422, `resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"`},
		{"initial events of a list", "sendInitialEvents=true", 422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"},
		{"every error", "sendInitialEvents=true&resourceVersionMatch=Exact", 422, "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, sendInitialEvents: Forbidden"},
		{"a limit that is none", "limit=x", 400, `strconv.ParseInt: parsing "x": invalid syntax`},
		{"an empty limit", "limit=", 400, `strconv.ParseInt: parsing "": invalid syntax`},
		{"a timeout that is none", "timeoutSeconds=x", 400, `strconv.ParseInt: parsing "x": invalid syntax`},
		{"a version that is none", "resourceVersion=x", 400, `Invalid value: "x"`},
		{"labels", "labelSelector=a%3D%3D%3Db", 400, "found '='"},
		{"fields", "fieldSelector=a", 400, "invalid selector: 'a'; can't understand 'a'"},

		{"watch: match alone", "watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan", 422, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"},
		{"watch: initial events alone", "watch=1&sendInitialEvents=true", 422, "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
		{"watch: no initial events alone", "watch=1&sendInitialEvents=false", 422, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
		{"watch: exact", "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact", 422, `resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"`},
		{"watch: page", "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x", 422, "resourceVersionMatch is forbidden when continue is provided"},
		{"watch: limit", "watch=1&limit=x", 400, `strconv.ParseInt: parsing "x": invalid syntax`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("GET", gatewaytest.MapsPath+"?"+tt.query, "")
			if a.Code != tt.code || !a.Has(tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}

// TestWatchLists: a watch says where the objects that it begins with end, in every form.
func TestWatchLists(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(1, "x")
	const send = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1&"
	const asTable = "Accept: application/json;as=Table;g=meta.k8s.io;v=v1"
	const end = `"annotations":{"k8s.io/initial-events-end":"true"}`
	for _, tt := range []struct {
		name, query, accept string
		want                []string // in each of the events
	}{
		{"objects", send, "", []string{`"ADDED","object":{"kind":"ConfigMap"`, `"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"`}},
		{"no bookmarks", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&", "", []string{"ADDED"}},
		{"no initial events", "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1&", "", nil},
		{"metadata", send, "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", []string{`"ADDED","object":{"kind":"PartialObjectMetadata"`, end}},
		{"tables", send, asTable, []string{`"columnDefinitions":[`, `"columnDefinitions":null,"rows":[{"cells":["`}},
		{"tables of nothing", send + "includeObject=None&", asTable, []string{`"object":null`, end}},
		{"tables of objects", send + "includeObject=Object&", asTable, []string{`"object":{"kind":"ConfigMap"`, end}},
		{"from now, as before", "allowWatchBookmarks=1&", "", []string{"ADDED", end}},
		{"from anything, as before", "resourceVersion=0&allowWatchBookmarks=1&", "", []string{"ADDED", end}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("GET", gatewaytest.MapsPath+"?watch=1&timeoutSeconds=1&"+tt.query, "", tt.accept)
			events := strings.SplitAfter(strings.TrimSpace(a.Body), "\n")
			if a.Body == "" {
				events = nil
			}
			if len(events) != len(tt.want) {
				t.Fatalf("got %d %s\nwant %d events", a.Code, a.Body, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(events[i], want) {
					t.Errorf("event %d is %s\nwant in it %s", i, events[i], want)
				}
			}
		})
	}
}

// TestDeleteOptions: options in the query and in a body of every type.
func TestDeleteOptions(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(1, "x")
	one := gatewaytest.MapsPath + "/m000"
	proto := "Content-Type: application/vnd.kubernetes.protobuf"
	uid := "no-such-uid"
	orphan := metav1.DeletePropagationOrphan
	for _, tt := range []struct {
		name, path, body, media string
		code                    int
		want                    string
	}{
		{"trial", one + "?dryRun=All", "", "", 200, `"status":"Success","details":{"name":"m000","kind":"configmaps","uid":"`},
		{"trial in a body", one, `{"dryRun":["All"]}`, "", 200, `"status":"Success"`},
		{"trial in YAML", one, "dryRun: [All]", "Content-Type: application/yaml", 200, `"status":"Success"`},
		{"trial in protobuf", one, inProtobuf(t, "v1", "DeleteOptions", &metav1.DeleteOptions{DryRun: []string{"All"}}), proto, 200, `"status":"Success"`},
		{"another trial", one + "?dryRun=Some", "", "", 422, `DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"`},
		{"both policies", one + "?propagationPolicy=Orphan&orphanDependents=true", "", "", 422, `propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set`},
		{"both policies in protobuf", one, inProtobuf(t, "v1", "DeleteOptions", &metav1.DeleteOptions{PropagationPolicy: &orphan, OrphanDependents: new(bool)}), proto, 422, "cannot be both set"},
		{"unknown policy", one, `{"propagationPolicy":"Away"}`, "", 422, `propagationPolicy: Unsupported value: "Away": supported values: "Foreground", "Background", "Orphan", "nil"`},
		{"empty policy", one + "?propagationPolicy=", "", "", 422, `propagationPolicy: Unsupported value: ""`},
		{"grace that is none", one + "?gracePeriodSeconds=x", "", "", 400, `strconv.ParseInt: parsing "x": invalid syntax`},
		{"other uid", one + "?uid=no-such-uid", "", "", 409, "the UID in the precondition (no-such-uid) does not match the UID in record"},
		{"other uid in a body", one, `{"preconditions":{"uid":"no-such-uid"}}`, "", 409, "the UID in the precondition"},
		{"other uid in protobuf", one, inProtobuf(t, "v1", "DeleteOptions", &metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(uid)}), proto, 409, "the UID in the precondition"},
		{"other version", one + "?resourceVersion=1", "", "", 409, "the ResourceVersion in the precondition (1) does not match"},
		{"unreadable objects", one + "?dryRun=All&ignoreStoreReadErrorWithClusterBreakingPotential=true", "", "", 200, `"status":"Success"`},
		{"unreadable objects and a policy", one + "?dryRun=All&ignoreStoreReadErrorWithClusterBreakingPotential=true&propagationPolicy=Orphan", "", "", 200, `"finalizers":["orphan"]`},
		{"rubbish", one, `{"dryRun":`, "", 400, "couldn't get version/kind; json parse error: unexpected end of JSON input"},
		{"wrong type", one, `{"dryRun":1}`, "", 400, "json: cannot unmarshal number into Go struct field DeleteOptions.dryRun of type []string"},
		{"other kind", one, `{"kind":"Pod","apiVersion":"v1"}`, "", 400, `no kind \"Pod\" is registered for version \"v1\"`},
		{"CBOR", one, "x", "Content-Type: application/cbor", 415, "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"},
		{"all: other uid", gatewaytest.MapsPath + "?uid=no-such-uid", "", "", 409, "the UID in the precondition"},
		{"all: trial", gatewaytest.MapsPath + "?dryRun=All", "", "", 200, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"`},
		{"all: none selected", gatewaytest.MapsPath + "?labelSelector=n%3D7", "", "", 200, `"items":[]`},
		{"all: bad match", gatewaytest.MapsPath + "?resourceVersionMatch=Exact", "", "", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"all: initial events", gatewaytest.MapsPath + "?sendInitialEvents=true", "", "", 422, "sendInitialEvents is forbidden for list"},
		{"all: unknown policy", gatewaytest.MapsPath, `{"propagationPolicy":"Away"}`, "", 422, "propagationPolicy: Unsupported value"},
		{"all: bad selector", gatewaytest.MapsPath + "?fieldSelector=spec.x%3D1", "", "", 400, "is not a known field selector"},
		{"all: a namespace of what has none", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas?fieldSelector=metadata.namespace%3Dx", "", "", 200, `"items":[]`},
		{"all: of what has fields of its own", "/api/v1/nodes?fieldSelector=metadata.namespace%3Dx", "", "", 400, "field label not supported: metadata.namespace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("DELETE", tt.path, tt.body, tt.media)
			if a.Code != tt.code || !a.Has(tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
	if a := c.As("GET", one, ""); a.Code != 200 {
		t.Fatalf("a trial deleted the object: %d", a.Code)
	}
	for _, name := range []string{"b", "c", "d", "e"} {
		c.As("POST", gatewaytest.MapsPath, `{"metadata":{"name":"`+name+`"}}`)
	}
	first := c.As("DELETE", gatewaytest.MapsPath+"?limit=2", "")
	if n := strings.Count(first.Body, `"kind":"ConfigMap",`); first.Code != 200 || n != 2 || !strings.Contains(first.Body, `"continue":"`) {
		t.Errorf("deleting two: %d, %d of them: %s", first.Code, n, first.Body)
	}
	if rest := c.As("DELETE", gatewaytest.MapsPath, `{"kind":"DeleteOptions","apiVersion":"v1"}`); rest.Code != 200 || strings.Count(rest.Body, `"kind":"ConfigMap",`) != 3 {
		t.Errorf("deleting the others: %d %s", rest.Code, rest.Body)
	}
}
