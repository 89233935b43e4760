package decode_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"gantry/agents/gateway"
	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/gateway/request"
	"gantry/registry"
)

// A bomb is a body that costs more than it seems to. It is made in every size, about n bytes.
type bomb struct {
	name, method, path, media string
	make                      func(n int) string
}

const (
	allPods    = "/api/v1/namespaces/default/pods"
	onePod     = allPods + "/target"
	mergeType  = "application/merge-patch+json"
	strategic  = "application/strategic-merge-patch+json"
	jsonPatch  = "application/json-patch+json"
	podHead    = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"bomb"},`
	anyMap     = "/api/v1/namespaces/default/configmaps"
	oneMap     = anyMap + "/target"
	containerN = `"containers":[{"name":"c","image":"i",`
)

// fill repeats a piece up to n bytes between a head and a tail.
func fill(head, piece, last, tail string) func(n int) string {
	return func(n int) string { return head + strings.Repeat(piece, max(1, n/len(piece))) + last + tail }
}

// counting repeats a piece with a number of its own.
func counting(head, format, last, tail string) func(n int) string {
	return func(n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String() + last + tail
	}
}

// nest puts n bytes of levels around a value.
func nest(head, open, middle, shut, tail string) func(n int) string {
	return func(n int) string {
		levels := max(1, n/(len(open)+len(shut)))
		return head + strings.Repeat(open, levels) + middle + strings.Repeat(shut, levels) + tail
	}
}

var bombs = []bomb{
	{"json/containers", "POST", allPods, request.JSONType, fill(podHead+`"spec":{"containers":[`, `{},`, `{}`, `]}}`)},
	{"json/null containers", "POST", allPods, request.JSONType, fill(podHead+`"spec":{"containers":[`, `null,`, `null`, `]}}`)},
	{"json/valid containers", "POST", allPods, request.JSONType, counting(podHead+`"spec":{"containers":[`, `{"name":"c%d","image":"i"},`, `{"name":"c","image":"i"}`, `]}}`)},
	{"json/env", "POST", allPods, request.JSONType, fill(podHead+`"spec":{`+containerN+`"env":[`, `{},`, `{}`, `]}]}}`)},
	{"json/valid env", "POST", allPods, request.JSONType, counting(podHead+`"spec":{`+containerN+`"env":[`, `{"name":"A%d"},`, `{"name":"A"}`, `]}]}}`)},
	{"json/ports", "POST", allPods, request.JSONType, fill(podHead+`"spec":{`+containerN+`"ports":[`, `{"containerPort":80},`, `{"containerPort":81}`, `]}]}}`)},
	{"json/mounts", "POST", allPods, request.JSONType, counting(podHead+`"spec":{`+containerN+`"volumeMounts":[`, `{"name":"v%[1]d","mountPath":"/%[1]d"},`, `{}`, `],"volumeDevices":[{"name":"d","devicePath":"/x"}]}]}}`)},
	{"json/volumes", "POST", allPods, request.JSONType, fill(podHead+`"spec":{"volumes":[`, `{},`, `{}`, `]}}`)},
	{"json/tolerations", "POST", allPods, request.JSONType, fill(podHead+`"spec":{"tolerations":[`, `{},`, `{}`, `]}}`)},
	{"json/resources", "POST", allPods, request.JSONType, counting(podHead+`"spec":{`+containerN+`"resources":{"limits":{`, `"x/%d":"1",`, `"cpu":"1"`, `}}}]}}`)},
	{"json/labels", "POST", allPods, request.JSONType, counting(`{"metadata":{"name":"bomb","labels":{`, `"/%d":"/",`, `"a":"b"`, `}}}`)},
	{"json/owners", "POST", allPods, request.JSONType, fill(`{"metadata":{"name":"bomb","ownerReferences":[`, `{},`, `{}`, `]}}`)},
	{"json/finalizers", "POST", allPods, request.JSONType, counting(`{"metadata":{"name":"bomb","finalizers":[`, `"f%d",`, `"f"`, `]}}`)},
	{"json/unknown fields", "POST", allPods, request.JSONType, counting(`{"metadata":{"name":"bomb"},"spec":{`, `"x%d":1,`, `"x":1`, `}}`)},
	{"json/unknown fields, strict", "POST", allPods + "?fieldValidation=Strict", request.JSONType, counting(`{"metadata":{"name":"bomb"},"spec":{`, `"x%d":1,`, `"x":1`, `}}`)},
	{"json/fields again and again", "POST", allPods, request.JSONType, fill(`{"metadata":{"name":"bomb"},`, `"spec":{},`, `"spec":{}`, `}`)},
	{"json/deep objects", "POST", allPods, request.JSONType, nest(`{"metadata":{"name":"bomb"},"x":`, `{"a":`, `1`, `}`, `}`)},
	{"json/deep lists", "POST", allPods, request.JSONType, nest(`{"metadata":{"name":"bomb"},"x":`, `[`, `1`, `]`, `}`)},
	{"json/brackets", "POST", allPods, request.JSONType, fill(``, `[`, ``, ``)},
	{"json/long name", "POST", allPods, request.JSONType, fill(`{"metadata":{"name":"`, `X`, ``, `"}}`)},
	{"json/long escapes", "POST", allPods, request.JSONType, fill(`{"metadata":{"name":"`, `\u0041`, ``, `"}}`)},
	{"json/long number", "POST", allPods, request.JSONType, fill(`{"metadata":{"name":"bomb"},"spec":{"priority":`, `9`, ``, `}}`)},
	{"json/image", "POST", allPods, request.JSONType, fill(podHead+`"spec":{"containers":[{"name":"c","image":"`, `a/`, `a`, `"}]}}`)},
	{"json/spaces", "POST", allPods, request.JSONType, fill(``, ` `, `{}`, ``)},
	{"json/managed fields", "POST", allPods, request.JSONType, nest(`{"metadata":{"name":"bomb","managedFields":[{"operation":"Apply","fieldsType":"FieldsV1","fieldsV1":`, `{"a":`, `{}`, `}`, `}]}}`)},
	{"json/template", "POST", "/apis/apps/v1/namespaces/default/deployments", request.JSONType, fill(`{"metadata":{"name":"bomb"},"spec":{"template":{"spec":{"containers":[`, `{},`, `{}`, `]}}}}`)},
	{"json/addresses", "POST", "/api/v1/namespaces/default/services", request.JSONType, fill(`{"metadata":{"name":"bomb"},"spec":{"externalIPs":[`, `"x",`, `"x"`, `]}}`)},
	{"json/service ports", "POST", "/api/v1/namespaces/default/services", request.JSONType, fill(`{"metadata":{"name":"bomb"},"spec":{"ports":[`, `{},`, `{}`, `]}}`)},
	{"json/endpoints", "POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", request.JSONType, fill(`{"metadata":{"name":"bomb"},"addressType":"IPv4","endpoints":[`, `{},`, `{}`, `]}`)},
	{"json/keys", "POST", anyMap, request.JSONType, counting(`{"metadata":{"name":"bomb"},"data":{`, `"/%d":"",`, `"a":""`, `}}`)},
	{"json/taints", "PUT", "/api/v1/nodes/n1/status", request.JSONType, fill(`{"metadata":{"name":"n1"},"spec":{"taints":[`, `{},`, `{}`, `]}}`)},
	{"json/options", "DELETE", anyMap + "/none", request.JSONType, fill(`{"dryRun":[`, `"",`, `""`, `]}`)},
	{"json/review", "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", request.JSONType, counting(`{"spec":{"user":"u","groups":[`, `"g%d",`, `"g"`, `]}}`)},

	{"yaml/aliases of a text", "POST", anyMap, request.YAMLType, func(n int) string {
		return "a: &x " + strings.Repeat("x", n/2) + "\nl: [" + strings.Repeat("*x,", n/6) + "]\n"
	}},
	{"yaml/aliases of aliases", "POST", anyMap, request.YAMLType, counting("x0: &x0 [a,a,a,a,a,a,a,a]\n", "x%[1]d: &x%[1]d [*x0,*x0,*x0,*x0,*x0,*x0,*x0]\nx0: &x0 [*x%[1]d,*x%[1]d,*x%[1]d]\n", "", "")},
	{"yaml/merges", "POST", anyMap, request.YAMLType, func(n int) string {
		return counting("a: &a {", "k%d: 1, ", "k: 1", "}\n")(n/2) + "b:\n  <<: [" + strings.Repeat("*a,", n/6) + "]\n"
	}},
	{"yaml/keys", "POST", anyMap, request.YAMLType, counting("metadata: {name: bomb}\ndata:\n", "  k%d: v\n", "", "")},
	{"yaml/dashes", "POST", anyMap, request.YAMLType, fill("data:\n", "- \n", "", "")},
	{"yaml/brackets", "POST", anyMap, request.YAMLType, fill("", "[", "", "")},
	{"yaml/deep", "POST", anyMap, request.YAMLType, nest("", "[", "", "]", "\n")},
	{"yaml/questions", "POST", anyMap, request.YAMLType, fill("", "? ", "", "")},
	{"yaml/comments", "POST", anyMap, request.YAMLType, fill("", "#\n", "", "a: b\n")},

	{"protobuf/containers", "POST", allPods, request.ProtobufType, wirePod(func(p *corev1.Pod, n int) { p.Spec.Containers = make([]corev1.Container, n/8) })},
	{"protobuf/env", "POST", allPods, request.ProtobufType, wirePod(func(p *corev1.Pod, n int) {
		p.Spec.Containers = []corev1.Container{{Env: make([]corev1.EnvVar, n/8)}}
	})},
	{"protobuf/arguments", "POST", allPods, request.ProtobufType, wirePod(func(p *corev1.Pod, n int) {
		p.Spec.Containers = []corev1.Container{{Args: make([]string, n/2)}}
	})},
	{"protobuf/owners", "POST", allPods, request.ProtobufType, wirePod(func(p *corev1.Pod, n int) { p.OwnerReferences = make([]metav1.OwnerReference, n/10) })},
	{"protobuf/shortest messages", "POST", allPods, request.ProtobufType, func(n int) string {
		spec := strings.Repeat("\x12\x00", n/2) // spec.containers, empty
		return unknown("v1", "Pod", append([]byte{0x12}, append(uvarint(len(spec)), spec...)...))
	}},
	{"protobuf/groups", "POST", allPods, request.ProtobufType, func(n int) string { return unknown("v1", "Pod", bytes.Repeat([]byte{0x0b}, n)) }},

	{"merge/members", "PATCH", oneMap, mergeType, counting(`{`, `"m%d":1,`, `"m":1`, `}`)},
	{"merge/keys", "PATCH", oneMap, mergeType, counting(`{"data":{`, `"k%d":"1",`, `"k":""`, `}}`)},
	{"merge/nulls", "PATCH", oneMap, mergeType, counting(`{"data":{`, `"k%d":null,`, `"k":null`, `}}`)},
	{"merge/deep", "PATCH", oneMap, mergeType, nest(``, `{"a":`, `1`, `}`, ``)},
	{"merge/members again and again", "PATCH", oneMap, mergeType, func(n int) string {
		return `{"` + strings.Repeat("x", n/2) + `":{` + strings.Repeat(`"a":1,`, n/12) + `"a":1}}`
	}},
	{"merge/small objects", "PATCH", oneMap, mergeType, fill(`{"x":[`, `{"":0},`, `0`, `]}`)},
	{"merge/containers", "PATCH", onePod, mergeType, fill(`{"spec":{"containers":[`, `{},`, `{}`, `]}}`)},
	{"merge/status", "PATCH", onePod + "/status", mergeType, fill(`{"status":{"containerStatuses":[`, `{},`, `{}`, `]}}`)},

	{"strategic/env", "PATCH", onePod, strategic, counting(`{"spec":{"containers":[{"name":"c","env":[`, `{"name":"A%d","value":"b"},`, `{"name":"A"}`, `]}]}}`)},
	{"strategic/deletions", "PATCH", onePod, strategic, counting(`{"spec":{"containers":[{"name":"c","env":[`, `{"name":"A%d","$patch":"delete"},`, `{"name":"A"}`, `]}]}}`)},
	{"strategic/order", "PATCH", onePod, strategic, counting(`{"spec":{"containers":[{"name":"c","$setElementOrder/env":[`, `{"name":"A%d"},`, `{"name":"A"}`, `]}]}}`)},
	{"strategic/texts", "PATCH", onePod, strategic, counting(`{"metadata":{"finalizers":[`, `"x/f%d",`, `"x/f"`, `]}}`)},
	{"strategic/containers", "PATCH", onePod, strategic, counting(`{"spec":{"containers":[`, `{"name":"c%d"},`, `{"name":"c"}`, `]}}`)},
	{"strategic/arguments", "PATCH", onePod, strategic, counting(`{"spec":{"containers":[{"name":"c","args":[`, `"a%d",`, `""`, `]}]}}`)},
	{"strategic/taints", "PATCH", "/api/v1/nodes/n1", strategic, fill(`{"spec":{"taints":[`, `{},`, `{}`, `]}}`)},
	{"strategic/mixed list", "PATCH", onePod, strategic, fill(`{"metadata":{"finalizers":[`, `"x/f",`, `1`, `]}}`)},

	{"json patch/inserts", "PATCH", oneMap, jsonPatch, func(n int) string {
		return `[{"op":"add","path":"/l","value":[` + strings.Repeat("0,", n/4) + `0]},` + strings.Repeat(`{"op":"add","path":"/l/0","value":1},`, min(n/80, 9000)) + `{"op":"remove","path":"/l"}]`
	}},
	{"json patch/members", "PATCH", oneMap, jsonPatch, counting(`[`, `{"op":"add","path":"/data/k%d","value":""},`, `{"op":"remove","path":"/data"}`, `]`)},
	{"json patch/copies that double", "PATCH", oneMap, jsonPatch, func(n int) string {
		return `[{"op":"add","path":"/l","value":["` + strings.Repeat("x", n/2) + `"]},` + strings.Repeat(`{"op":"copy","from":"/l","path":"/l/-"},`, min(n/80, 9000)) + `{"op":"remove","path":"/l"}]`
	}},
	{"json patch/tests", "PATCH", oneMap, jsonPatch, func(n int) string {
		text := `"` + strings.Repeat("x", n/2) + `"`
		return `[{"op":"add","path":"/data/x","value":` + text + `},` + strings.Repeat(`{"op":"test","path":"/data/a","value":"b"},`, min(n/80, 9000)) + `{"op":"remove","path":"/data/x"}]`
	}},
	{"json patch/deep", "PATCH", oneMap, jsonPatch, nest(`[{"op":"add","path":"/a","value":`, `{"a":`, `1`, `}`, `}]`)},
	{"json patch/long paths", "PATCH", oneMap, jsonPatch, fill(`[{"op":"add","path":"`, `/a`, ``, `","value":1}]`)},
	{"json patch/objects", "PATCH", oneMap, jsonPatch, fill(`[`, `{},`, `{}`, `]`)},
	{"json patch/moves", "PATCH", oneMap, jsonPatch, fill(`[`, `{"op":"move","from":"/data","path":"/x"},{"op":"move","from":"/x","path":"/data"},`, `{"op":"test","path":"/x"}`, `]`)},
}

// wirePod is a pod in protobuf.
func wirePod(change func(p *corev1.Pod, n int)) func(n int) string {
	return func(n int) string {
		pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "bomb"}}
		change(pod, n)
		var b bytes.Buffer
		if err := protobuf.NewSerializer(nil, nil).Encode(pod, &b); err != nil {
			panic(err)
		}
		return b.String()
	}
}

func uvarint(n int) (b []byte) {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// unknown wraps a message of a kind as bodies in protobuf are.
func unknown(apiVersion, kind string, raw []byte) string {
	field := func(tag byte, value []byte) []byte {
		return append(append([]byte{tag}, uvarint(len(value))...), value...)
	}
	meta := append(field(0x0a, []byte(apiVersion)), field(0x12, []byte(kind))...)
	return string(decode.ProtobufMark) + string(field(0x0a, meta)) + string(field(0x12, raw))
}

// TestBodiesCostInProportion sends every sort of body in sizes from 1 KB to 3 MB and bounds what it costs in proportion to its size: with much
// room, as tests run beside others and with the race detector, and yet far below what grows as the square of a size.
func TestBodiesCostInProportion(t *testing.T) {
	const (
		baseTime, timeOfMB   = slower * 3 * time.Second / 2, slower * 4 * time.Second
		baseBytes, timesSize = slower * 96 << 20, slower * 400
	)
	c := gatewaytest.New(t, func(cfg *gateway.Config) { cfg.RequestTimeout = 10 * time.Minute })
	targets(t, c)
	for _, b := range bombs {
		t.Run(b.name, func(t *testing.T) {
			for _, size := range []int{1 << 10, 30 << 10, largestBomb} {
				body := b.make(size)
				path := b.path
				if name, ok := strings.CutPrefix(path, "/api/v1/namespaces/default/configmaps/"); ok && size == 30<<10 {
					path = "/registry/configmaps/default/" + name // the other door
				}
				w := httptest.NewRecorder()
				r := gatewaytest.Request(t, c.Admin, "POST", path, strings.NewReader(body))
				r.Method = b.method
				r.Header.Set("Content-Type", b.media)
				took, allocated := costOf(t, func() { c.Handler.ServeHTTP(w, r) })
				if most := baseTime + time.Duration(float64(timeOfMB)*float64(len(body))/(1<<20)); took > most {
					t.Errorf("%d bytes take %v, more than %v", len(body), took, most)
				}
				if most := uint64(baseBytes + timesSize*len(body)); allocated > most {
					t.Errorf("%d bytes allocate %d MB, more than %d MB", len(body), allocated>>20, most>>20)
				}
				mixed := strings.Contains(w.Body.String(), "list element types are not identical") // 500, as in Kubernetes
				if w.Code >= 500 && !mixed || w.Body.Len() > baseBytes {
					t.Errorf("%d bytes are answered %d and %d bytes: %.200s", len(body), w.Code, w.Body.Len(), w.Body)
				}
				t.Logf("%8d bytes: %v, %d MB, answer %d of %d bytes: %.120s", len(body), took, allocated>>20, w.Code, w.Body.Len(), w.Body)
			}
		})
	}
}

// targets are the objects that the bombs change.
func targets(t *testing.T, c *gatewaytest.Cluster) {
	t.Helper()
	pod := gatewaytest.Pod("target", "")
	pod.Spec.Containers[0].Name = "c"
	if _, err := registry.For[*corev1.Pod](c.Registry).Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "target", Namespace: "default"}, Data: map[string]string{"a": "b"}}
	if _, err := registry.For[*corev1.ConfigMap](c.Registry).Create(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.For[*corev1.Node](c.Registry).Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}); err != nil {
		t.Fatal(err)
	}
}

// costOf is the processor time that f takes on its thread, and the memory that is allocated meanwhile.
func costOf(t *testing.T, f func()) (time.Duration, uint64) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		const thread = 1 // RUSAGE_THREAD
		var u syscall.Rusage
		if err := syscall.Getrusage(thread, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := now()
	f()
	took := now() - start
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc
}

// TestNestedObjectsAreReadInProportion checks that the pretty forms of a deeply nested object are at most twice as large as its JSON.
func TestNestedObjectsAreReadInProportion(t *testing.T) {
	c := gatewaytest.New(t)
	const levels = 190
	fields := strings.Repeat(`{"f:a":`, levels) + counting("{", `"f:x%d":{},`, `"f:x":{}`, "}")(50<<10) + strings.Repeat("}", levels)
	a := c.As("POST", anyMap, `{"metadata":{"name":"deep","managedFields":[{"manager":"m","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":`+fields+`}]}}`)
	if a.Code != 201 {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	for _, accept := range []string{"application/json;pretty=1", "application/yaml"} {
		if a := c.As("GET", anyMap+"/deep", "", "Accept: "+accept); a.Code != 200 || len(a.Body) > 2*len(fields) {
			t.Errorf("%s: answer %d of %d bytes", accept, a.Code, len(a.Body))
		}
	}
}
