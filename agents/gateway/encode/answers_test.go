package encode_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/framer"

	"gantry/agents/gateway/gatewaytest"
)

const (
	protobufOnly = "Accept: application/vnd.kubernetes.protobuf"
	partialProto = protobufOnly + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	partialLists = protobufOnly + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// unwrap reads an object in protobuf and returns the kind that it says it is.
func unwrap(t *testing.T, body []byte, into interface{ Unmarshal([]byte) error }) string {
	t.Helper()
	rest, ok := bytes.CutPrefix(body, []byte("k8s\x00"))
	if !ok {
		t.Fatalf("no protobuf: %.200q", body)
	}
	var u runtime.Unknown
	if err := u.Unmarshal(rest); err != nil {
		t.Fatal(err)
	}
	if err := into.Unmarshal(u.Raw); err != nil {
		t.Fatal(err)
	}
	return u.APIVersion + " " + u.Kind
}

func TestAnswersInProtobuf(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(3, "x")
	web := `{"metadata":{"name":"web"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	c.As("POST", "/apis/apps/v1/namespaces/default/deployments", web)
	type object interface{ Unmarshal([]byte) error }
	const web1 = "/apis/apps/v1/namespaces/default/deployments/web"
	for _, tt := range []struct {
		name, method, path, body, accept string
		code                             int
		into                             object
		kind                             string
		got                              func(object) string
		want                             string
	}{
		{"get", "GET", gatewaytest.MapsPath + "/m001", "", protobufOnly, 200, &corev1.ConfigMap{}, "v1 ConfigMap",
			func(o object) string { return o.(*corev1.ConfigMap).Name + o.(*corev1.ConfigMap).Data["d"] }, "m001x"},
		{"by key", "GET", "/registry/configmaps/default/m001", "", protobufOnly, 200, &corev1.ConfigMap{}, "v1 ConfigMap",
			func(o object) string { return o.(*corev1.ConfigMap).Name }, "m001"},
		{"list", "GET", gatewaytest.MapsPath, "", protobufOnly, 200, &corev1.ConfigMapList{}, "v1 ConfigMapList",
			func(o object) string {
				l := o.(*corev1.ConfigMapList)
				return fmt.Sprint(len(l.Items), l.Items[2].Name, l.ResourceVersion != "", l.Continue)
			}, "3m002true"},
		{"page", "GET", gatewaytest.MapsPath + "?limit=1", "", protobufOnly, 200, &corev1.ConfigMapList{}, "v1 ConfigMapList",
			func(o object) string {
				l := o.(*corev1.ConfigMapList)
				return fmt.Sprint(len(l.Items), *l.RemainingItemCount, l.Continue != "")
			}, "1 2 true"},
		{"empty list", "GET", "/api/v1/namespaces/default/pods", "", protobufOnly, 200, &corev1.PodList{}, "v1 PodList",
			func(o object) string { return fmt.Sprint(len(o.(*corev1.PodList).Items)) }, "0"},
		{"create", "POST", gatewaytest.MapsPath, `{"metadata":{"name":"new"}}`, protobufOnly, 201, &corev1.ConfigMap{}, "v1 ConfigMap",
			func(o object) string { return o.(*corev1.ConfigMap).Name }, "new"},
		{"update", "PUT", gatewaytest.MapsPath + "/new", `{"metadata":{"name":"new"},"data":{"a":"b"}}`, protobufOnly, 200, &corev1.ConfigMap{}, "v1 ConfigMap",
			func(o object) string { return o.(*corev1.ConfigMap).Data["a"] }, "b"},
		{"delete", "DELETE", gatewaytest.MapsPath + "/new", "", protobufOnly, 200, &metav1.Status{}, "v1 Status",
			func(o object) string { return o.(*metav1.Status).Status }, "Success"},
		{"status", "GET", web1 + "/status", "", protobufOnly, 200, &appsv1.Deployment{}, "apps/v1 Deployment",
			func(o object) string { return o.(*appsv1.Deployment).Name }, "web"},
		{"error", "GET", gatewaytest.MapsPath + "/none", "", protobufOnly, 404, &metav1.Status{}, "v1 Status",
			func(o object) string { return o.(*metav1.Status).Message }, `configmaps "none" not found`},
		{"unknown resource", "GET", "/api/v1/things", "", protobufOnly, 404, &metav1.Status{}, "v1 Status",
			func(o object) string { return string(o.(*metav1.Status).Reason) }, "NotFound"},
		{"metadata", "GET", gatewaytest.MapsPath + "/m001", "", partialProto, 200, &metav1.PartialObjectMetadata{}, "meta.k8s.io/v1 PartialObjectMetadata",
			func(o object) string { return o.(*metav1.PartialObjectMetadata).Name }, "m001"},
		{"metadata list", "GET", gatewaytest.MapsPath, "", partialLists, 200, &metav1.PartialObjectMetadataList{}, "meta.k8s.io/v1 PartialObjectMetadataList",
			func(o object) string {
				l := o.(*metav1.PartialObjectMetadataList)
				return fmt.Sprint(len(l.Items), l.Items[0].Labels, l.ResourceVersion != "")
			}, "3 map[n:0] true"},
		{"metadata of a scale", "GET", web1 + "/scale", "", partialProto, 200, &metav1.PartialObjectMetadata{}, "meta.k8s.io/v1 PartialObjectMetadata",
			func(o object) string { return o.(*metav1.PartialObjectMetadata).Name }, "web"},
		{"discovery", "GET", "/api/v1", "", protobufOnly, 200, &metav1.APIResourceList{}, " APIResourceList",
			func(o object) string { return o.(*metav1.APIResourceList).GroupVersion }, "v1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As(tt.method, tt.path, tt.body, tt.accept)
			if a.Code != tt.code || a.Header.Get("Content-Type") != "application/vnd.kubernetes.protobuf" {
				t.Fatalf("got %d, %s: %.300s", a.Code, a.Header.Get("Content-Type"), a.Body)
			}
			if kind := unwrap(t, []byte(a.Body), tt.into); kind != tt.kind {
				t.Errorf("kind %q, want %q", kind, tt.kind)
			}
			if got := tt.got(tt.into); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestTypeOfTheAnswer is what is answered to an Accept header.
func TestTypeOfTheAnswer(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(1, "x")
	const (
		json, yaml, proto = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
		types             = json + ", " + yaml + ", " + proto
		noneOf            = "only the following media types are accepted: "
		router            = "406: Not Acceptable\n\nAvailable representations: "
		streams           = json + ";stream=watch, " + proto + ";stream=watch"
		asTable           = ";as=Table;g=meta.k8s.io;v=v1"
		asPartial         = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
		asPartials        = ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1"
		one               = gatewaytest.MapsPath + "/m000"
		watch             = gatewaytest.MapsPath + "?watch=1&timeoutSeconds=1"
	)
	for _, tt := range []struct {
		name, path, accept string
		code               int
		media, want        string // want is in the body
	}{
		{"nothing asked", one, "", 200, json, `"kind":"ConfigMap"`},
		{"anything", one, "*/*", 200, json, `"kind":"ConfigMap"`},
		{"the better one", one, "application/json;q=0.5, application/yaml", 200, yaml, "kind: ConfigMap"},
		{"the one named before any", one, "*/*, application/yaml", 200, yaml, "kind: ConfigMap"},
		{"protobuf preferred, JSON accepted", one, proto + ", application/json;q=0.1", 200, json, `"kind":"ConfigMap"`},
		{"protobuf preferred, anything accepted", one, proto + ", */*", 200, json, `"kind":"ConfigMap"`},
		{"protobuf before YAML", one, proto + "," + yaml, 200, proto, "ConfigMap"},
		{"metadata in protobuf or JSON", one, proto + asPartial + "," + json + asPartial + "," + json, 200, json, `{"kind":"PartialObjectMetadata"`},
		{"metadata in protobuf, all in JSON", one, proto + asPartial + "," + json, 200, proto, "PartialObjectMetadata"},
		{"pretty by clause", one, "application/json;pretty=1", 200, json, "{\n  \"kind\""},
		{"the server's version", one, "application/json;sv=v1", 200, json, `"kind":"ConfigMap"`},
		{"another server's version", one, "application/json;sv=v2", 406, json, noneOf + types},
		{"unknown parameters", one, "application/json;charset=utf-8", 200, json, `"kind":"ConfigMap"`},
		{"none", one, "text/html", 406, json, router + types},
		{"CBOR", one, "application/cbor", 406, json, router + types},
		{"CBOR or JSON", one, "application/cbor, application/json", 200, json, `"kind":"ConfigMap"`},
		{"all of application", one, "application/*", 406, json, router + types},
		{"none for a list", gatewaytest.MapsPath, "text/html", 406, json, router + types + ", " + streams},
		{"none for a review", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "text/html", 405, json, "does not allow"},

		{"table", gatewaytest.MapsPath, json + asTable, 200, json, `"kind":"Table"`},
		{"table in YAML", gatewaytest.MapsPath, yaml + asTable, 200, yaml, "kind: Table"},
		{"table in protobuf", gatewaytest.MapsPath, proto + asTable, 406, json, noneOf + types},
		{"table in protobuf or the list", gatewaytest.MapsPath, proto + asTable + "," + json, 200, json, `"kind":"ConfigMapList"`},
		{"table of an unknown version", gatewaytest.MapsPath, json + ";as=Table;g=meta.k8s.io;v=v2", 406, json, noneOf + types},
		{"table of an unknown version, or v1beta1", gatewaytest.MapsPath, json + ";as=Table;g=meta.k8s.io;v=v2," + json + ";as=Table;g=meta.k8s.io;v=v1beta1", 200, json, `"apiVersion":"meta.k8s.io/v1beta1"`},
		{"table of no group", gatewaytest.MapsPath, json + ";as=Table;v=v1", 406, json, noneOf + types},
		{"unknown kind", gatewaytest.MapsPath, json + ";as=Chair;g=meta.k8s.io;v=v1", 406, json, noneOf + types},
		{"unknown kind or the list", gatewaytest.MapsPath, json + ";as=Chair;g=meta.k8s.io;v=v1," + json, 200, json, `"kind":"ConfigMapList"`},
		{"a version alone", gatewaytest.MapsPath, json + ";v=v1", 406, json, noneOf + types},
		{"metadata of a list", gatewaytest.MapsPath, json + asPartial, 406, json, "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)"},
		{"metadata of a list in protobuf", "/apis/apps/v1/deployments", proto + asPartial, 406, json, "you requested PartialObjectMetadata, but the requested object is a list (*apps.DeploymentList)"},
		{"metadata list of one", one, json + asPartials, 406, json, "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)"},
		{"metadata list", gatewaytest.MapsPath, json + asPartials, 200, json, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1beta1"`},
		{"metadata list in YAML", gatewaytest.MapsPath, yaml + asPartials, 200, yaml, "kind: PartialObjectMetadataList"},
		{"unknown objects in rows", gatewaytest.MapsPath + "?includeObject=Some", json + asTable, 400, json, `Unable to convert to Table as requested: includeObject: Invalid value: "Some": must be 'Metadata', 'Object', 'None', or empty`},
		{"unknown objects in no rows", gatewaytest.MapsPath + "?includeObject=Some", json, 200, json, `"kind":"ConfigMapList"`},

		{"watch", watch, json, 200, json, `"type":"ADDED"`},
		{"watch as a stream", watch, json + ";stream=watch", 200, json, `"type":"ADDED"`},
		{"watch as another stream", watch, json + ";stream=look", 406, json, noneOf + types},
		{"watch in YAML", watch, yaml, 406, yaml, noneOf + streams},
		{"watch in protobuf", watch, proto, 200, proto + ";stream=watch", "ADDED"},
		{"watch in protobuf or JSON", watch, proto + "," + json, 200, json, `"type":"ADDED"`},
		{"watch of metadata", watch, json + asPartial, 200, json, `"object":{"kind":"PartialObjectMetadata"`},
		{"watch of metadata lists", watch, json + asPartials, 406, json, "the requested object is not a list (*core.ConfigMap)"},

		{"an error in YAML", gatewaytest.MapsPath + "/none", yaml, 404, yaml, "kind: Status"},
		{"an error to a client of tables", gatewaytest.MapsPath + "/none", json + asTable, 404, json, "{\n  \"kind\": \"Status\""},
		{"an error to a client of nothing", "/api/v1/things", "text/html", 404, json, "{\n  \"kind\": \"Status\""},

		{"the version as nothing", "/version", "text/html", 406, json, router + json},
		{"a group as nothing", "/apis/apps", "text/html", 406, json, noneOf + types},
		{"discovery in YAML", "/api", yaml, 200, yaml, "kind: APIVersions"},
		{"discovery as nothing", "/apis/apps/v1", "text/html", 406, json, router + types},
		{"all groups as nothing", "/apis", "text/html", 406, json, noneOf + types},
		{"all groups as anything of application", "/apis", "application/*", 200, json, `"kind":"APIGroupList"`},
		{"aggregated in YAML", "/apis", yaml + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", 200, yaml + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "kind: APIGroupDiscoveryList"},
		{"aggregated in protobuf", "/apis", proto + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", 200, proto + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "APIGroupDiscoveryList"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("GET", tt.path, "", "Accept: "+tt.accept)
			if a.Code != tt.code || a.Header.Get("Content-Type") != tt.media || !a.Has(tt.want) {
				t.Errorf("got %d %s %.400s\nwant %d %s with %s", a.Code, a.Header.Get("Content-Type"), a.Body, tt.code, tt.media, tt.want)
			}
		})
	}
}

// TestWatchInProtobuf reads the frames of a watch: what is there and where that ends.
func TestWatchInProtobuf(t *testing.T) {
	c := gatewaytest.New(t)
	c.MakeMaps(1, "x")
	for _, tt := range []struct {
		name, query, accept string
		want                []string
	}{
		{"objects", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", protobufOnly,
			[]string{"ADDED v1 ConfigMap m000", "BOOKMARK v1 ConfigMap map[k8s.io/initial-events-end:true]"}},
		{"metadata", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", partialProto,
			[]string{"ADDED meta.k8s.io/v1 PartialObjectMetadata m000", "BOOKMARK meta.k8s.io/v1 PartialObjectMetadata map[k8s.io/initial-events-end:true]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.As("GET", gatewaytest.MapsPath+"?watch=1&timeoutSeconds=1&"+tt.query, "", tt.accept)
			if diff := cmp.Diff(tt.want, frames(t, a.Body)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// frames are the events of a watch in protobuf.
func frames(t *testing.T, body string) (all []string) {
	t.Helper()
	r := framer.NewLengthDelimitedFrameReader(io.NopCloser(strings.NewReader(body)))
	buf := make([]byte, 1<<16)
	for {
		n, err := r.Read(buf)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		var ev metav1.WatchEvent
		if err := ev.Unmarshal(buf[:n]); err != nil {
			t.Fatal(err)
		}
		var partial metav1.PartialObjectMetadata // the metadata is the first field of every kind
		kind := unwrap(t, ev.Object.Raw, &partial)
		text := partial.Name
		if len(partial.Annotations) > 0 {
			text = fmt.Sprint(partial.Annotations)
		}
		all = append(all, ev.Type+" "+kind+" "+text)
	}
}
