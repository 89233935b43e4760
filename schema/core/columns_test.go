package core

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

func TestRows(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "x", CreationTimestamp: ago(3 * time.Minute)}
	port := func(n, node int32) corev1.ServicePort {
		return corev1.ServicePort{Port: n, NodePort: node, Protocol: corev1.ProtocolTCP}
	}
	tests := []struct {
		name string
		kind *schema.Kind
		obj  schema.Object
		want []any
	}{
		{"node", Node, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n1", CreationTimestamp: ago(time.Minute), Labels: map[string]string{"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge"}},
			Spec:       corev1.NodeSpec{Unschedulable: true},
			Status: corev1.NodeStatus{
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
				Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n1"}, {Type: corev1.NodeInternalIP, Address: "10.0.0.1"}},
				NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: "v1.36.0", OSImage: "Debian", ContainerRuntimeVersion: "docker://20.10"},
			}}, []any{"n1", "Ready,SchedulingDisabled", "control-plane,edge,worker", "60s", "v1.36.0", "10.0.0.1", "<none>", "Debian", "<unknown>", "docker://20.10"}},
		{"node not ready", Node, &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}}},
			[]any{"", "NotReady", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"}},
		{"node unknown", Node, &corev1.Node{}, []any{"", "Unknown", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"}},
		{"service", Service, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"10.96.0.1"}, Ports: []corev1.ServicePort{port(80, 0), port(443, 30443)}, Selector: map[string]string{"b": "2", "a": "1"}}},
			[]any{"x", "ClusterIP", "10.96.0.1", "<none>", "80/TCP,443:30443/TCP", "3m", "a=1,b=2"}},
		{"balancer", Service, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalIPs: []string{"192.0.2.9"}}, Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{Hostname: "lb"}, {IP: "192.0.2.1"}}}}},
			[]any{"x", "LoadBalancer", "<none>", "192.0.2.1,lb,192.0.2.9", "<none>", "3m", "<none>"}},
		{"pending balancer", Service, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}, []any{"x", "LoadBalancer", "<none>", "<pending>", "<none>", "3m", "<none>"}},
		{"external name", Service, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example"}}, []any{"x", "ExternalName", "<none>", "db.example", "<none>", "3m", "<none>"}},
		{"endpoints", Endpoints, &corev1.Endpoints{ObjectMeta: meta, Subsets: []corev1.EndpointSubset{
			{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}, {IP: "fd00::1"}}, Ports: []corev1.EndpointPort{{Port: 80}, {Port: 81}}},
			{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.9"}}},
		}}, []any{"x", "10.0.0.1:80,[fd00::1]:80,10.0.0.1:81 + 2 more...", "3m"}},
		{"no endpoints", Endpoints, &corev1.Endpoints{ObjectMeta: meta}, []any{"x", "<none>", "3m"}},
		{"event", Event, &corev1.Event{ObjectMeta: meta, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web", FieldPath: "spec.containers{c}"}, Type: "Normal", Reason: "Pulled", Message: " done\n", Source: corev1.EventSource{Component: "kubelet", Host: "n1"}, FirstTimestamp: ago(time.Hour), LastTimestamp: ago(time.Minute), Count: 4},
			[]any{"60s", "Normal", "Pulled", "pod/web", "spec.containers{c}", "kubelet, n1", "done", "60m", int64(4), "x"}},
		{"event of the new kind", Event, &corev1.Event{ObjectMeta: meta, InvolvedObject: corev1.ObjectReference{Kind: "Node"}, ReportingController: "scheduler", EventTime: metav1.NewMicroTime(ago(time.Minute).Time), Series: &corev1.EventSeries{Count: 9, LastObservedTime: metav1.NewMicroTime(ago(time.Second).Time)}},
			[]any{"1s", "", "", "node", "", "scheduler", "", "60s", int64(9), "x"}},
		{"single event", Event, &corev1.Event{ObjectMeta: meta, EventTime: metav1.NewMicroTime(ago(time.Minute).Time)}, []any{"60s", "", "", "", "", "", "", "60s", int64(1), "x"}},
		{"configmap", ConfigMap, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"a": ""}, BinaryData: map[string][]byte{"b": nil}}, []any{"x", int64(2), "3m"}},
		{"secret", Secret, &corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"b": nil}}, []any{"x", "Opaque", int64(1), "3m"}},
		{"serviceaccount", ServiceAccount, &corev1.ServiceAccount{ObjectMeta: meta}, []any{"x", "3m"}},
		{"namespace", Namespace, &corev1.Namespace{ObjectMeta: meta, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}, []any{"x", "Active", "3m"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.kind.Row(tt.obj, tableNow)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			if len(got) != len(tt.kind.Columns) {
				t.Errorf("%d cells for %d columns", len(got), len(tt.kind.Columns))
			}
		})
	}
}

func TestColumnsAreDescribed(t *testing.T) {
	for _, k := range []*schema.Kind{Node, Pod, Service, Endpoints, Event, ConfigMap, Secret, ServiceAccount, Namespace} {
		for _, c := range k.Columns {
			if c.Description == "" || c.Type == "" {
				t.Errorf("column %q of %s has no description or type", c.Name, k.Kind)
			}
		}
	}
}
