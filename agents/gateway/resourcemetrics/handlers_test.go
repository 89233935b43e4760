package resourcemetrics_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/schema/core"
)

// kubelet answers to the gateway that 10 s have passed since it was last asked, in which the node has used 4 s of CPU, the container app 2.5 s
// and log 0.1 s. Of the pod other, which is another node's, it says that too.
type kubelet struct{ asked atomic.Int64 }

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS.PeerCertificates[0].Subject.CommonName != "gantry-gateway" || r.URL.Path != "/metrics/resource" {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	n := k.asked.Add(1)
	at := 1795780800000 + n*10000
	used := func(pod, container string, seconds float64, bytes int) {
		labels := fmt.Sprintf(`{container=%q,namespace="default",pod=%q}`, container, pod)
		fmt.Fprintf(w, "container_start_time_seconds%s 1795780000\ncontainer_cpu_usage_seconds_total%s %f %d\ncontainer_memory_working_set_bytes%s %d %d\n",
			labels, labels, seconds*float64(n), at, labels, bytes, at)
	}
	fmt.Fprintf(w, "node_cpu_usage_seconds_total %f %d\nnode_memory_working_set_bytes 1073741824 %d\n", 4*float64(n), at, at)
	used("web", "app", 2.5, 50<<20)
	used("web", "log", 0.1, 10<<20)
	used("other", "c", 9, 9<<20)
}

// newCluster has the nodes n1, with a kubelet, and n2, where nothing listens. The pods web and partial run on n1, other on n2.
func newCluster(t *testing.T) *gatewaytest.Cluster {
	c := gatewaytest.New(t)
	server := httptest.NewUnstartedServer(&kubelet{})
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{c.Pair("kubelet", pki.Request{CommonName: "system:node:n1", Organizations: []string{"system:nodes"}, Server: true, IPs: []net.IP{{127, 0, 0, 1}}}).Certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: c.CA.Pool(),
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closed.Close() })
	nodes := registry.For[*corev1.Node](c.Registry)
	for name, at := range map[string]string{"n1": server.Listener.Addr().String(), "n2": "127.0.0.1:1"} {
		c.Make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"disk": name}}})
		if _, err := nodes.ModifyStatus(t.Context(), "", name, func(n *corev1.Node) error {
			n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
			n.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(netip.MustParseAddrPort(at).Port())
			list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("4Gi")}
			n.Status.Capacity, n.Status.Allocatable = list, list
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for name, node := range map[string]string{"web": "n1", "other": "n2", "starts": "n1", "waits": ""} {
		pod := gatewaytest.Pod(name, node)
		pod.Labels = map[string]string{"app": name}
		c.Make(pod)
		if name == "starts" || name == "waits" {
			continue
		}
		if _, err := registry.For[*corev1.Pod](c.Registry).ModifyStatus(t.Context(), "default", name, func(p *corev1.Pod) error {
			p.Status.Phase = corev1.PodRunning
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Registry.List(t.Context(), core.Pod, "", registry.ListOptions{}); err != nil { // then the cache knows
		t.Fatal(err)
	}
	return c
}

const (
	base   = "/apis/metrics.k8s.io/v1beta1"
	inPods = base + "/namespaces/default/pods"
)

func TestAnswers(t *testing.T) {
	c := newCluster(t)
	const table = "application/json;as=Table;g=meta.k8s.io;v=v1"
	for _, tt := range []struct {
		method, path, accept string
		code                 int
		want                 []string
	}{
		{"GET", base + "/nodes", "", 200, []string{`{"kind":"NodeMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[{"kind":"NodeMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":"n1",`,
			`"labels":{"disk":"n1"}`, `"window":"10s","usage":{"cpu":"400m","memory":"1Gi"}}]}`}},
		{"GET", base + "/nodes/n1", "", 200, []string{`"kind":"NodeMetrics"`, `"timestamp":"2026-11-27T12:00:20Z"`}},
		{"GET", base + "/nodes?labelSelector=disk%3Dn2", "", 200, []string{`"items":[]`}},
		{"GET", base + "/nodes?labelSelector=%3D", "", 400, []string{"BadRequest", "found '='"}},
		{"GET", base + "/nodes/n2", "", 404, []string{`nodemetrics.metrics.k8s.io \"n2\" not found`}},
		{"GET", base + "/nodes/n3", "", 404, []string{`nodes \"n3\" not found`}},
		{"GET", inPods, "", 200, []string{`"kind":"PodMetricsList"`, `"metadata":{"name":"web","namespace":"default",`, `"labels":{"app":"web"}`,
			`"containers":[{"name":"app","usage":{"cpu":"250m","memory":"50Mi"}},{"name":"log","usage":{"cpu":"10m","memory":"10Mi"}}]}]}`}},
		{"GET", base + "/pods", "", 200, []string{`"name":"web"`}},
		{"GET", base + "/namespaces/kube-system/pods", "", 200, []string{`"items":[]`}},
		{"GET", inPods + "?labelSelector=app%3Dother", "", 200, []string{`"items":[]`}},
		{"GET", inPods + "?fieldSelector=metadata.name%3Dweb", "", 200, []string{`"name":"web"`}},
		{"GET", inPods + "/web", "", 200, []string{`{"kind":"PodMetrics",`}},
		{"GET", inPods + "/other", "", 404, []string{`podmetrics.metrics.k8s.io \"default/other\" not found`}},
		{"GET", inPods + "/starts", "", 404, []string{`podmetrics.metrics.k8s.io \"default/starts\" not found`}},
		{"GET", inPods + "/waits", "", 404, []string{`podmetrics.metrics.k8s.io \"default/waits\" not found`}},
		{"GET", inPods + "/x", "", 404, []string{`pods \"x\" not found`}},
		{"GET", base + "/nodes", table, 200, []string{`{"name":"cpu","type":"string","format":"quantity","description":"","priority":0}`, `"cells":["n1","400m","1Gi","10s"]`}},
		{"GET", inPods, table, 200, []string{`"cells":["web","260m","60Mi","10s"]`}},
		{"GET", base + "/nodes?watch=1", "", 405, []string{"MethodNotAllowed"}},
		{"DELETE", base + "/nodes/n1", "", 405, nil},
		{"POST", inPods, "", 405, nil},
		{"GET", base, "", 200, []string{`{"name":"nodes","singularName":"","namespaced":false,"kind":"NodeMetrics","verbs":["get","list"]}`, `{"name":"pods","singularName":"","namespaced":true,"kind":"PodMetrics","verbs":["get","list"]}`}},
		{"GET", "/apis", "", 200, []string{`"name":"metrics.k8s.io"`}},
		{"GET", "/openapi/v3/apis/metrics.k8s.io/v1beta1", "", 200, []string{`"io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics"`, `"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{name}"`}},
	} {
		accept := tt.accept
		if accept == "" {
			accept = "application/json"
		}
		a := c.As(tt.method, tt.path, "", "Accept: "+accept)
		if a.Code != tt.code {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, a.Code, a.Body)
		}
		for _, want := range tt.want {
			if !strings.Contains(a.Body, want) {
				t.Errorf("%s %s: %s\nwant %s", tt.method, tt.path, a.Body, want)
			}
		}
		for _, never := range []string{`"name":"other"`, `"name":"starts"`} {
			if strings.Contains(a.Body, never) && a.Code == 200 {
				t.Errorf("%s %s: %s", tt.method, tt.path, a.Body)
			}
		}
	}
}

// Clients that take nothing but protobuf get it.
func TestProtobuf(t *testing.T) {
	c := newCluster(t)
	a := c.As("GET", inPods+"/web", "", "Accept: application/vnd.kubernetes.protobuf")
	body, ok := strings.CutPrefix(a.Body, "k8s\x00")
	if a.Code != 200 || !ok || !strings.Contains(body, "PodMetrics") {
		t.Errorf("%d %q", a.Code, a.Body)
	}
	a = c.As("GET", inPods, "", "Accept: application/vnd.kubernetes.protobuf")
	if a.Code != 200 || !strings.HasPrefix(a.Body, "k8s\x00") || !strings.Contains(a.Body, "PodMetricsList") {
		t.Errorf("%d %q", a.Code, a.Body)
	}
	var list metricsv1beta1.PodMetricsList
	if a = c.As("GET", inPods, ""); json.Unmarshal([]byte(a.Body), &list) != nil || len(list.Items) != 1 || list.Items[0].Containers[0].Usage.Cpu().MilliValue() != 250 {
		t.Errorf("the same as JSON: %s", a.Body)
	}
}

// What kubectl top prints, in lines and words.
func TestKubectlTop(t *testing.T) {
	c := newCluster(t)
	for _, tt := range []struct {
		args []string
		want [][]string
	}{
		{[]string{"top", "nodes"}, [][]string{
			{"NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"}, {"n1", "400m", "10%", "1024Mi", "25%"}, {"n2", "<unknown>", "<unknown>", "<unknown>", "<unknown>"}}},
		{[]string{"top", "node", "n1", "--no-headers"}, [][]string{{"n1", "400m", "10%", "1024Mi", "25%"}}},
		{[]string{"top", "pods"}, [][]string{{"NAME", "CPU(cores)", "MEMORY(bytes)"}, {"web", "260m", "60Mi"}}},
		{[]string{"top", "pods", "--containers", "-A", "--no-headers"}, [][]string{{"default", "web", "app", "250m", "50Mi"}, {"default", "web", "log", "10m", "10Mi"}}},
		{[]string{"top", "pod", "web", "--no-headers"}, [][]string{{"web", "260m", "60Mi"}}},
		{[]string{"top", "pods", "-l", "app=web", "--sum", "--no-headers"}, [][]string{{"web", "260m", "60Mi"}, {"________", "________"}, {"260m", "60Mi"}}},
		{[]string{"get", "pods.metrics.k8s.io"}, [][]string{{"NAME", "CPU", "MEMORY", "WINDOW"}, {"web", "260m", "60Mi", "10s"}}},
		{[]string{"get", "nodes.metrics.k8s.io", "--no-headers"}, [][]string{{"n1", "400m", "1Gi", "10s"}}},
		{[]string{"get", "pods", "-o", "name"}, [][]string{{"pod/other"}, {"pod/starts"}, {"pod/waits"}, {"pod/web"}}}, // core's are meant
	} {
		var got [][]string
		for line := range strings.Lines(c.Kubectl("", tt.args...)) {
			got = append(got, slices.Collect(strings.FieldsSeq(line)))
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("kubectl %s (-want +got):\n%s", strings.Join(tt.args, " "), d)
		}
	}
}
