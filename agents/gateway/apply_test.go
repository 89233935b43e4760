package gateway_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/schema"
	"gantry/schema/kinds"
	"gantry/schema/kinds/kindstest"
)

const applyType = "Content-Type: application/apply-patch+yaml"

// managers are "manager operation[/subresource] apiVersion fieldsV1" of an answer's managedFields, sorted.
func managers(t *testing.T, a gatewaytest.Answer) string {
	t.Helper()
	var obj metav1.PartialObjectMetadata
	if err := json.Unmarshal([]byte(a.Body), &obj); err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
	var out []string
	for _, e := range obj.ManagedFields {
		operation := string(e.Operation)
		if e.Subresource != "" {
			operation += "/" + e.Subresource
		}
		out = append(out, e.Manager+" "+operation+" "+e.APIVersion+" "+string(e.FieldsV1.Raw))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

const (
	appliedMap    = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  x: \"1\"\n"
	appliedDeploy = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	templateField = `"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}}`
)

// TestApply is a story for each kind of write.
func TestApply(t *testing.T) {
	const maps, deploys = "/api/v1/namespaces/default/configmaps/m", "/apis/apps/v1/namespaces/default/deployments/d"
	const scalers, scaler = "/apis/autoscaling/", "/namespaces/default/horizontalpodautoscalers/h"
	const merge, jsonPatch = "Content-Type: application/merge-patch+json", "Content-Type: application/json-patch+json"
	type call struct {
		method, path, body, header string
		code                       int
		// text is in the answer, fields are its managers ("-": none); "": not compared.
		text, fields string
	}
	for name, calls := range map[string][]call{
		"created, changed and pruned": {
			{"PATCH", maps + "?fieldManager=a&dryRun=All", appliedMap, applyType, 201, "", "a Apply v1 " + `{"f:data":{"f:x":{}}}`},
			{"GET", maps, "", "", 404, "", ""},
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 201, `"data":{"x":"1"}`, "a Apply v1 " + `{"f:data":{"f:x":{}}}`},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "x:", "z:", 1), applyType, 200, `"data":{"z":"1"}`, "a Apply v1 " + `{"f:data":{"f:z":{}}}`},
			{"PATCH", maps + "?fieldManager=b", strings.Replace(appliedMap, `x: "1"`, `z: "2"`, 1), applyType, 409,
				`"message":"Apply failed with 1 conflict: conflict with \"a\": .data.z","reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"a\"","field":".data.z"}]},"code":409`, ""},
			{"PATCH", maps + "?fieldManager=b&force=true", strings.Replace(appliedMap, `x: "1"`, `z: "2"`, 1), applyType, 200, `"data":{"z":"2"}`, "b Apply v1 " + `{"f:data":{"f:z":{}}}`},
		},
		"writes before the first apply are not recorded, those after it are": {
			{"POST", "/api/v1/namespaces/default/configmaps", `{"metadata":{"name":"m"},"data":{"x":"1"}}`, "", 201, "", "-"},
			{"PATCH", maps, `{"data":{"z":"1"}}`, merge, 200, "", "-"},
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 200, "", "a Apply v1 " + `{"f:data":{"f:x":{}}}` + "\n" + `before-first-apply Update v1 {"f:data":{".":{},"f:x":{},"f:z":{}}}`},
			{"PATCH", maps, `{"data":{"z":"2"}}`, merge, 200, "", "Go-http-client Update v1 " + `{"f:data":{"f:z":{}}}` + "\na Apply v1 " + `{"f:data":{"f:x":{}}}` + "\n" + `before-first-apply Update v1 {"f:data":{".":{},"f:x":{}}}`},
			{"PUT", maps + "?fieldManager=p", `{"metadata":{"name":"m"},"data":{"x":"3"}}`, "", 200, "", `before-first-apply Update v1 {"f:data":{}}` + "\np Update v1 " + `{"f:data":{"f:x":{}}}`},
		},
		"managed fields can be removed, and are not by one who does not send them": {
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 201, "", ""},
			{"PUT", maps, `{"metadata":{"name":"m"},"data":{"x":"1"}}`, "", 200, "", "a Apply v1 " + `{"f:data":{"f:x":{}}}`},
			{"PUT", maps, `{"metadata":{"name":"m","managedFields":[{"manager":"m","operation":"bogus"}]},"data":{"x":"1"}}`, "", 200, "", "a Apply v1 " + `{"f:data":{"f:x":{}}}`},
			{"PUT", maps, `{"metadata":{"name":"m","managedFields":[{}]},"data":{"x":"1"}}`, "", 200, "", "-"},
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 200, "", ""},
			{"PATCH", maps, `{"metadata":{"managedFields":[]}}`, merge, 200, "", "-"},
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 200, "", ""},
			{"PATCH", maps, `[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`, jsonPatch, 200, "", "-"},
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 200, "", ""},
			{"PATCH", maps, `{"metadata":{"managedFields":[{}]}}`, "Content-Type: application/strategic-merge-patch+json", 200, "", "-"},
		},
		"a manager can be renamed": {
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 201, "", ""},
			{"PATCH", maps, `{"metadata":{"managedFields":[{"manager":"b","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:x":{}}}}]}}`, merge, 200, "", "b Apply v1 " + `{"f:data":{"f:x":{}}}`},
			{"PATCH", maps, `{"metadata":{"managedFields":[{"manager":"` + strings.Repeat("b", 129) + `","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:x":{}}}}]}}`, merge, 422,
				`metadata.managedFields[0].manager`, ""},
		},
		"scale": {
			{"PATCH", deploys + "?fieldManager=a", appliedDeploy, applyType, 201, "", "a Apply apps/v1 " + `{"f:spec":{"f:replicas":{},` + templateField + `}}`},
			{"PATCH", deploys + "/scale?fieldManager=s", `{"spec":{"replicas":5}}`, merge, 200, `"replicas":5`, ""},
			{"GET", deploys, "", "", 200, "", "a Apply apps/v1 " + `{"f:spec":{` + templateField + `}}` + "\n" + `s Update/scale apps/v1 {"f:spec":{"f:replicas":{}}}`},
			{"PATCH", deploys + "?fieldManager=a", appliedDeploy, applyType, 409, `conflict with \"s\" with subresource \"scale\" using apps/v1`, ""},
			{"PATCH", deploys + "/scale?fieldManager=t", `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"d"},"spec":{"replicas":6}}`, applyType, 409,
				`Apply failed with 1 conflict: conflict with \"s\" with subresource \"scale\" using autoscaling/v1`, ""},
			{"PATCH", deploys + "/scale?fieldManager=t&force=true", `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"d"},"spec":{"replicas":6}}`, applyType, 200, `"replicas":6`, ""},
			{"GET", deploys, "", "", 200, `"replicas":6`, "a Apply apps/v1 " + `{"f:spec":{` + templateField + `}}` + "\n" + `t Apply/scale apps/v1 {"f:spec":{"f:replicas":{}}}`},
			{"PATCH", deploys + "/scale?fieldManager=t&force=true", `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"d"},"spec":{"replicas":-1}}`, applyType, 422, `must be greater than or equal to 0`, ""},
			{"PATCH", deploys + "none/scale?fieldManager=t", `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"dnone"},"spec":{"replicas":1}}`, applyType, 404, "", ""},
			{"PATCH", deploys + "/scale?fieldManager=t", appliedDeploy, applyType, 400, `invalid object type: apps/v1, Kind=Deployment`, ""},
		},
		"status": {
			{"PATCH", deploys + "/status?fieldManager=s", appliedDeploy, applyType, 404, "", ""},
			{"PATCH", deploys + "?fieldManager=a", appliedDeploy, applyType, 201, "", ""},
			{"PATCH", deploys + "/status?fieldManager=s", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":9},"status":{"replicas":2}}`, applyType, 200, `"status":{"replicas":2}`,
				"a Apply apps/v1 " + `{"f:spec":{"f:replicas":{},` + templateField + `}}` + "\n" + `s Apply/status apps/v1 {"f:status":{"f:replicas":{}}}`},
			{"PATCH", deploys + "/status", `{"metadata":{"managedFields":[{}]},"status":{"replicas":3}}`, merge, 200, `"status":{"replicas":3}`,
				"Go-http-client Update/status apps/v1 " + `{"f:status":{"f:replicas":{}}}` + "\na Apply apps/v1 " + `{"f:spec":{"f:replicas":{},` + templateField + `}}`},
		},
		"versions of a kind": {
			{"PATCH", scalers + "v2" + scaler + "?fieldManager=a", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"minReplicas":2,"maxReplicas":5,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}}`, applyType, 201, "",
				`a Apply autoscaling/v2 {"f:spec":{"f:maxReplicas":{},"f:minReplicas":{},"f:scaleTargetRef":{"f:apiVersion":{},"f:kind":{},"f:name":{}}}}`},
			{"PATCH", scalers + "v1" + scaler + "?fieldManager=b", `{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":6}}`, applyType, 409,
				`Apply failed with 1 conflict: conflict with \"a\": .spec.maxReplicas`, ""},
			{"PATCH", scalers + "v1" + scaler + "?fieldManager=b", `{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"targetCPUUtilizationPercentage":50}}`, applyType, 200, `"apiVersion":"autoscaling/v1"`,
				`a Apply autoscaling/v2 {"f:spec":{"f:maxReplicas":{},"f:minReplicas":{},"f:scaleTargetRef":{"f:apiVersion":{},"f:kind":{},"f:name":{}}}}` + "\n" + `b Apply autoscaling/v1 {"f:spec":{"f:targetCPUUtilizationPercentage":{}}}`},
			{"PATCH", scalers + "v2" + scaler + "?fieldManager=a", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":5,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}}`, applyType, 200, `"averageUtilization":50`,
				`a Apply autoscaling/v2 {"f:spec":{"f:maxReplicas":{},"f:scaleTargetRef":{"f:apiVersion":{},"f:kind":{},"f:name":{}}}}` + "\n" + `b Apply autoscaling/v1 {"f:spec":{"f:targetCPUUtilizationPercentage":{}}}`},
			{"PATCH", scalers + "v1" + scaler + "?fieldManager=u", `{"spec":{"maxReplicas":7}}`, merge, 200, `"maxReplicas":7`,
				`a Apply autoscaling/v2 {"f:spec":{"f:scaleTargetRef":{"f:apiVersion":{},"f:kind":{},"f:name":{}}}}` + "\n" + `b Apply autoscaling/v1 {"f:spec":{"f:targetCPUUtilizationPercentage":{}}}` + "\n" + `u Update autoscaling/v1 {"f:spec":{"f:maxReplicas":{}}}`},
		},
		"what the body says of itself": {
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "name: m", "name: other", 1), applyType, 400, `the name of the object (other) does not match the name on the URL (m)`, ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "  name: m\n", "  labels: {}\n", 1), applyType, 400, `name must be provided`, ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "name: m", "name: m\n  namespace: other", 1), applyType, 400, `the namespace of the provided object does not match the namespace sent on the request`, ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "name: m", "name: m\n  uid: u", 1), applyType, 409, `uid mismatch: the provided object specified uid u, and no existing object was found`, ""},
			{"PATCH", maps + "?fieldManager=a", appliedMap, applyType, 201, "", ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "  name: m\n", "  labels: {l: m}\n", 1), applyType, 200, `"labels":{"l":"m"}`, ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "name: m", "name: m\n  uid: u", 1), applyType, 422, `metadata.uid: Invalid value: \"u\": field is immutable`, ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "name: m", "name: m\n  resourceVersion: \"1\"", 1), applyType, 409, "the object has been modified", ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "name: m", "name: m\n  managedFields: []", 1), applyType, 400, "metadata.managedFields must be nil", ""},
			{"PATCH", maps + "?fieldManager=a", strings.Replace(appliedMap, "v1", "v2", 1), applyType, 400, "invalid object type: /v2, Kind=ConfigMap", ""},
		},
		"mistakes in the body": {
			{"PATCH", maps + "?fieldManager=a", "a: [", applyType, 400, "error decoding YAML: error converting YAML to JSON: yaml: line 1: ", ""},
			{"PATCH", maps + "?fieldManager=a", appliedMap + "bogus: 1\n", applyType, 500, `"message":"failed to create typed patch object (/m; /v1, Kind=ConfigMap): .bogus: field not declared in schema","code":500`, ""},
			{"PATCH", maps + "?fieldManager=a&fieldValidation=Strict", appliedMap + "  x: \"2\"\n", applyType, 400, `error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 7: key \"x\" already set in map`, ""},
			{"PATCH", maps + "?fieldManager=a&fieldValidation=Warn", appliedMap + "  x: \"2\"\n", applyType, 201, `"data":{"x":"2"}`, ""},
			{"PATCH", maps + "?fieldManager=a%0A", appliedMap, applyType, 422, `fieldManager: Invalid value: \"a\\n\": invalid character U+000A`, ""},
			{"PATCH", maps + "?fieldManager=" + strings.Repeat("a", 129), appliedMap, applyType, 422, `fieldManager: Too long: may not be more than 128 bytes`, ""},
			{"PATCH", maps + "?force=true", `{}`, merge, 422, `force: Forbidden: may not be specified for non-apply patch`, ""},
			{"PATCH", deploys + "?fieldManager=a", strings.Replace(appliedDeploy, `"replicas":3`, `"replicas":-3`, 1), applyType, 422, `spec.replicas: Invalid value: -3`, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := gatewaytest.New(t)
			for i, call := range calls {
				headers := []string{}
				if call.header != "" {
					headers = append(headers, call.header)
				}
				a := c.As(call.method, call.path, call.body, headers...)
				if a.Code != call.code || !strings.Contains(a.Body, call.text) {
					t.Fatalf("call %d: %d %s\nwant %d with %s", i, a.Code, a.Body, call.code, call.text)
				}
				if call.fields == "" {
					continue
				}
				if got := managers(t, a); got != strings.TrimPrefix(call.fields, "-") {
					t.Fatalf("call %d: managers\n%s\nwant\n%s", i, got, call.fields)
				}
			}
		})
	}
}

// TestApplySame checks that an apply or an update that changes nothing is not stored.
func TestApplySame(t *testing.T) {
	c := gatewaytest.New(t)
	const path = "/api/v1/namespaces/default/configmaps/m?fieldManager=a"
	first := c.As("PATCH", path, appliedMap, applyType)
	if again := c.As("PATCH", path, appliedMap, applyType); again.Body != first.Body || again.Code != 200 {
		t.Errorf("applied again: %d %s\nwant %s", again.Code, again.Body, first.Body)
	}
	if put := c.As("PUT", "/api/v1/namespaces/default/configmaps/m", first.Body); put.Body != first.Body {
		t.Errorf("put: %s\nwant %s", put.Body, first.Body)
	}
}

// TestApplyNeedsCreate checks that an apply creates an object only for a user who may create it.
func TestApplyNeedsCreate(t *testing.T) {
	c := newCluster(t)
	leaf := leafOf(t, c.Pair("jane", pki.Request{CommonName: "jane"}))
	c.rebuild(c.Registry, verbs{"patch"})
	const path = "/api/v1/namespaces/default/configmaps/m?fieldManager=a"
	if a := c.ask(leaf, "PATCH", path, appliedMap, applyType); a.Code != 403 || !strings.Contains(a.Body, "cannot create resource") {
		t.Errorf("%d %s, want 403", a.Code, a.Body)
	}
	c.rebuild(c.Registry, verbs{"patch", "create"})
	if a := c.ask(leaf, "PATCH", path, appliedMap, applyType); a.Code != 201 {
		t.Errorf("%d %s, want 201", a.Code, a.Body)
	}
}

// TestApplyCustom applies objects without a Go type, in each version.
func TestApplyCustom(t *testing.T) {
	c := gatewaytest.NewOf(t, schema.NewKinds(schema.NewSet(append(kinds.BuiltIn().All, kindstest.Widget())...)))
	const at = "/apis/example.com/%/namespaces/default/widgets/w"
	v1, beta := strings.Replace(at, "%", "v1", 1), strings.Replace(at, "%", "v1beta1", 1)
	a := c.As("PATCH", beta+"?fieldManager=a", "apiVersion: example.com/v1beta1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 2, tags: [x]}\n", applyType)
	if want := `a Apply example.com/v1beta1 {"f:spec":{".":{},"f:size":{},"f:tags":{}}}`; a.Code != 201 || managers(t, a) != want {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	a = c.As("PATCH", v1+"?fieldManager=b", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {replicas: 3}\n", applyType)
	if want := `Apply failed with 1 conflict: conflict with \"a\": .spec.replicas`; a.Code != 409 || !strings.Contains(a.Body, strings.Replace(want, ".spec.replicas", ".spec.size", 1)) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	a = c.As("PATCH", v1+"/status?fieldManager=s", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, labels: {a: b}}\nstatus: {replicas: 3}\n", applyType)
	if want := `a Apply example.com/v1beta1 {"f:spec":{".":{},"f:size":{},"f:tags":{}}}` + "\n" + `s Apply/status example.com/v1 {"f:status":{".":{},"f:replicas":{}}}`; a.Code != 200 || managers(t, a) != want {
		t.Errorf("%d %s\nwant %s", a.Code, a.Body, want)
	}
	a = c.As("PATCH", v1+"/scale?fieldManager=t&force=true", "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: w}\nspec: {replicas: 7}\n", applyType)
	if a.Code != 200 || !strings.Contains(a.Body, `"spec":{"replicas":7}`) {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}
