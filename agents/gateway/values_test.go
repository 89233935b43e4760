package gateway_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/gateway/request"
)

// TestValuesOutOfRange are refused with 422 and the field's name at every path, and leave the others unaffected.
func TestValuesOutOfRange(t *testing.T) {
	c := gatewaytest.New(t)
	const maps, nodes, pods = "/api/v1/namespaces/default/configmaps", "/api/v1/nodes", "/api/v1/namespaces/default/pods"
	entry := func(members string) string {
		return `{"metadata":{"name":"a","managedFields":[{"manager":"m","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1",` + members + `}]}}`
	}
	late, early := `"9999-12-31T23:59:59-01:00"`, `"0000-01-01T00:00:00+01:00"`
	condition := func(at string) string {
		return `{"metadata":{"name":"n1"},"status":{"conditions":[{"type":"X","status":"True","lastHeartbeatTime":` + at + `}]}}`
	}
	pod := func(cpu string) string {
		return `{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":` + cpu + `}}}]}}`
	}
	for path, body := range map[string]string{maps: cm, nodes: `{"metadata":{"name":"n1"}}`} {
		if a := c.As("POST", path, body); a.Code != 201 {
			t.Fatalf("%d %s", a.Code, a.Body)
		}
	}
	const merge, strategic, jsonPatch = "Content-Type: application/merge-patch+json", "Content-Type: application/strategic-merge-patch+json", "Content-Type: application/json-patch+json"
	for _, tt := range []struct{ name, method, path, body, header, field string }{
		{"a node's status", "PUT", nodes + "/n1/status", condition(late), "", "status.conditions[0].lastHeartbeatTime"},
		{"before the year 0", "PUT", nodes + "/n1/status", condition(early), "", "status.conditions[0].lastHeartbeatTime"},
		{"a dry run", "PUT", nodes + "/n1/status?dryRun=All", condition(early), "", "status.conditions[0].lastHeartbeatTime"},
		{"a merge patch", "PATCH", nodes + "/n1/status", condition(late), merge, "status.conditions"},
		{"a strategic merge patch", "PATCH", nodes + "/n1/status", condition(late), strategic, "status.conditions"},
		{"a JSON patch", "PATCH", nodes + "/n1/status", `[{"op":"add","path":"/status/conditions","value":[{"type":"X","status":"True","lastHeartbeatTime":` + late + `}]}]`, jsonPatch, "status.conditions"},
		{"managed fields", "POST", maps, strings.Replace(entry(`"time":`+late), `"a"`, `"b"`, 1), "", "metadata.managedFields[0].time"},
		{"managed fields of what is there", "PUT", maps + "/a", entry(`"time":` + early), "", "metadata.managedFields[0].time"},
		{"in YAML", "PUT", maps + "/a", entry(`"time":` + late), "Content-Type: application/yaml", "metadata.managedFields[0].time"},
		{"deep fields", "PUT", maps + "/a", entry(`"fieldsV1":` + strings.Repeat(`{"a":`, 5000) + `{}` + strings.Repeat(`}`, 5000)), "", "metadata.managedFields[0].fieldsV1"},
		{"a long exponent", "POST", pods, pod(`"1e-2147483648"`), "", "spec.containers[0].resources.limits[cpu]"},
		{"a number with a long exponent", "POST", pods, pod(`1e-10000000`), "", "spec.containers[0].resources.limits[cpu]"},
		{"a large exponent", "POST", pods, pod(`"1e308"`), "", "spec.containers[0].resources.limits[cpu]"},
		{"more than 2^63", "POST", pods, pod(`"1e19"`), "", "spec.containers[0].resources.limits[cpu]"},
		{"a million digits", "POST", pods, pod("1" + strings.Repeat("0", 1<<20)), "", "spec.containers[0].resources.limits[cpu]"},
		{"a capacity by patch", "PATCH", nodes + "/n1/status", `{"status":{"capacity":{"cpu":"1e-2147483648"}}}`, merge, "status.capacity[cpu]"},
		{"a port", "POST", "/api/v1/namespaces/default/services", `{"metadata":{"name":"s"},"spec":{"ports":[{"port":80,"targetPort":4294967376}]}}`, "", "spec.ports[0].targetPort"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := tt.header
			if header == "" {
				header = "Content-Type: application/json"
			}
			refused(t, c.As(tt.method, tt.path, tt.body, header), tt.field)
		})
	}
	for _, path := range []string{maps, nodes} {
		if a := c.As("GET", path, ""); a.Code != 200 || !strings.Contains(a.Body, `"items":[{`) {
			t.Errorf("afterwards: %d %s", a.Code, a.Body)
		}
	}
}

// TestProtobufValuesOutOfRange checks values that protobuf can express and JSON cannot, for example a time after the year 9999.
func TestProtobufValuesOutOfRange(t *testing.T) {
	c := gatewaytest.New(t)
	body := func(p *corev1.Pod, was, is string) string {
		p.Name, p.Spec.Containers = "p", append(p.Spec.Containers, corev1.Container{Name: "c", Image: "i"})
		raw, err := p.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{Kind: "Pod", APIVersion: "v1"}, Raw: bytes.Replace(raw, []byte(was), []byte(is), 1)}
		data, err := unknown.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return string(decode.ProtobufMark) + string(data)
	}
	timed := func(at time.Time, raw string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "m", Operation: "Apply", APIVersion: "v1", FieldsType: "FieldsV1", Time: &metav1.Time{Time: at}, FieldsV1: &metav1.FieldsV1{Raw: []byte(raw)},
		}}}}
	}
	costly := &corev1.Pod{Spec: corev1.PodSpec{Overhead: corev1.ResourceList{"cpu": resource.MustParse("123456789m")}}}
	for _, tt := range []struct{ name, body, field string }{
		{"after the year 9999", body(timed(time.Unix(1<<40, 0), `{}`), "", ""), "metadata.managedFields[0].time"},
		{"at the end of time", body(timed(time.Unix(1<<62, 0), `{}`), "", ""), "metadata.managedFields[0].time"},
		{"before the year 0", body(timed(time.Unix(-1<<40, 0), `{}`), "", ""), "metadata.managedFields[0].time"},
		{"fields that are no JSON", body(timed(time.Unix(0, 0), `{`), "", ""), "metadata.managedFields[0].fieldsV1"},
		{"fields that are no UTF-8", body(timed(time.Unix(0, 0), "{\"\xff\":{}}"), "", ""), "metadata.managedFields[0].fieldsV1"},
		{"an exponent", body(costly, "123456789m", "1e-9999999"), "spec.overhead[cpu]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, c.As("POST", "/api/v1/namespaces/default/pods", tt.body, "Content-Type: "+request.ProtobufType), tt.field)
		})
	}
}

// refused holds an answer to be 422 with the name of a field.
func refused(t *testing.T, a gatewaytest.Answer, field string) {
	t.Helper()
	var s metav1.Status
	if err := json.Unmarshal([]byte(a.Body), &s); err != nil || a.Code != 422 || s.Reason != metav1.StatusReasonInvalid || !strings.Contains(s.Message, field) {
		t.Errorf("%d %.500s, want 422 that names %s", a.Code, a.Body, field)
	}
}

// TestFaultsAreKubernetes: what is wrong with a body or a patch is told as kube-apiserver tells it, and so is what a client is warned of when the
// write fails afterwards.
func TestFaultsAreKubernetes(t *testing.T) {
	c := gatewaytest.New(t)
	const ns, merge, strategic = "/api/v1/namespaces/default/", "Content-Type: application/merge-patch+json", "Content-Type: application/strategic-merge-patch+json"
	const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	c.MakeMaps(1, "x")
	c.As("POST", budgets, `{"metadata":{"name":"b"}}`)
	c.As("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", `{"metadata":{"name":"p"},"value":1}`)
	m, class := mapsPath+"/m000", "/apis/scheduling.k8s.io/v1/priorityclasses/p"
	for _, tt := range []struct {
		name, method, path, body, header string
		code                             int
		text, warning                    string
	}{
		{"another kind", "POST", mapsPath, `{"kind":"Pod","apiVersion":"v1"}`, "", 400, "Pod in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion", ""},
		{"another kind, broken", "POST", mapsPath, `{"kind":"Pod","apiVersion":"v1","spec":1}`, "", 400, "Go struct field Pod.spec of type v1.PodSpec", ""},
		{"no kind that there is", "POST", mapsPath, `{"kind":"Odd","apiVersion":"v1","data":1}`, "", 400, `no kind "Odd" is registered for version "v1" in scheme`, ""},
		{"patched type", "PATCH", m, `{"apiVersion":1}`, merge, 422, "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .apiVersion of type string", ""},
		{"patched away type", "PATCH", m, `{"apiVersion":null}`, merge, 400, "the name of the object (m000 based on URL) was undeterminable", ""},
		{"merged wrongly", "PATCH", m, `{"metadata":{"labels":[]}}`, strategic, 422, "cannot restore map from slice", ""},
		{"a number that is too large", "PATCH", class, `{"value":9223372036854775808}`, merge, 422, "json: cannot unmarshal number 9223372036854775808 into Go struct field PriorityClass.value of type int32", ""},
		{"a number whose low bits fit", "PATCH", class + "?fieldManager=m&force=true&dryRun=All", `{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"p"},"value":4294967297}`, applyType, 200, `"value":1`, ""},
		{"namespace of what has none", "PATCH", class, `{"metadata":{"namespace":"x"}}`, merge, 200, "", ""},
		{"no resourceVersion", "PATCH", budgets + "/b", `{"metadata":{"resourceVersion":null}}`, merge, 422, "metadata.resourceVersion: Invalid value: 0: must be specified for an update", ""},
		{"no resourceVersion is needed", "PATCH", m, `{"metadata":{"resourceVersion":null,"labels":{"a":"b"}}}`, merge, 200, "", ""},
		{"a resourceVersion that is none", "PATCH", m, `{"metadata":{"resourceVersion":"x"}}`, merge, 500, `strconv.ParseUint: parsing "x": invalid syntax`, ""},
		{"another resourceVersion", "PATCH", m, `{"metadata":{"resourceVersion":"1"}}`, merge, 409, "the object has been modified", ""},
		{"unknown field of what fails", "PATCH", m, `{"zzz":1,"metadata":{"labels":{"a":"b c"}}}`, merge, 422, "a valid label must be", `unknown field \"zzz\"`},
		{"a trial's resourceVersion", "POST", mapsPath + "?dryRun=All", `{"metadata":{"name":"t","resourceVersion":"x"}}`, "", 201, `"resourceVersion":"x"`, ""},
		{"a key of a trial", "PUT", m + "?dryRun=All", `{"metadata":{"name":"m000","uid":"u"}}`, "", 409, "Key: /configmaps/default/m000, ", ""},
		{"a namespace's precondition", "DELETE", "/api/v1/namespaces/default", `{"preconditions":{"uid":"u"}}`, "", 409, `namespaces "default": Precondition failed: UID in precondition: u, `, ""},
		{"deprecated", "GET", ns + "endpoints/x", "", "", 404, "", "v1 Endpoints is deprecated"},
		{"deprecated, not routed", "GET", ns + "endpoints/x", "", "Accept: text/html", 406, "", ""},
		{"a watch of what is only listed", "GET", "/api/v1/componentstatuses?watch=1", "", "", 405, `watch is not supported on resources of kind "componentstatuses"`, "v1 ComponentStatus is deprecated"},
		{"any method", "POST", "/apis", "", "", 200, "APIGroupList", ""},
	} {
		a := c.As(tt.method, tt.path, tt.body, tt.header)
		if a.Code != tt.code || !a.Has(tt.text) {
			t.Errorf("%s: %d %s\nwant %d %s", tt.name, a.Code, a.Body, tt.code, tt.text)
		}
		if got := strings.Join(a.Header["Warning"], "\n"); !strings.Contains(got, tt.warning) || tt.warning == "" && got != "" {
			t.Errorf("%s: warnings %q, want %q", tt.name, got, tt.warning)
		}
	}
}
