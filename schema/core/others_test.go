package core

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodeErrors(t *testing.T) {
	base := func() *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}} }
	runValidate(t, Node, base, []errorCase[*corev1.Node]{
		{name: "valid"},
		{"taints", func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "a", Effect: "NoSchedule"}, {Key: "a", Effect: "NoSchedule"}, {Key: "b"}}
		}, []string{
			`metadata.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: taints must be unique by key and effect pair`,
			"metadata.taints[2].effect: Required value",
		}},
		{"pod ranges", func(n *corev1.Node) {
			n.Spec.PodCIDR, n.Spec.PodCIDRs = "10.0.0.0/24", []string{"10.0.0.0/24", "10.0.1.1/24"}
		}, []string{
			`spec.podCIDRs[1]: Invalid value: "10.0.1.1/24": must not have bits set beyond the prefix length`,
			`spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.1/24"]: may specify no more than one CIDR for each IP family`,
		}},
		{"capacity", func(n *corev1.Node) {
			n.Status.Capacity = corev1.ResourceList{"cpu": resource.MustParse("-1"), "pods": resource.MustParse("1.5")}
		}, []string{
			`status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0`,
			`status.capacity.pods: Invalid value: "1500m": must be an integer`,
			`status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0`,
			`status.allocatable.pods: Invalid value: "1500m": must be an integer`,
		}},
	})
	given := func() *corev1.Node {
		n := base()
		n.Spec.PodCIDR, n.Spec.ProviderID = "10.0.0.0/24", "a"
		return n
	}
	const cidr = `spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid`
	runValidateUpdate(t, Node, given, []errorCase[*corev1.Node]{
		{"unschedulable", func(n *corev1.Node) { n.Spec.Unschedulable = true }, nil},
		{"range", func(n *corev1.Node) { n.Spec.PodCIDR = "10.0.1.0/24" }, []string{cidr}},
		{"range goes", func(n *corev1.Node) { n.Spec.PodCIDR = "" }, []string{cidr}},
		{"provider", func(n *corev1.Node) { n.Spec.ProviderID = "b" }, []string{`spec.providerID: Forbidden: node updates may not change providerID except from "" to valid`}},
		{"addresses", func(n *corev1.Node) {
			n.Status.Addresses = []corev1.NodeAddress{{Type: "InternalIP", Address: "1.1.1.1"}, {Type: "InternalIP", Address: "1.1.1.1"}}
		}, []string{`status.addresses[1]: Duplicate value: {"type":"InternalIP","address":"1.1.1.1"}`}},
	})
}

func TestNodeCreateKeepsStatus(t *testing.T) {
	n := &corev1.Node{Status: corev1.NodeStatus{Phase: "Running"}}
	Node.PrepareCreate(n)
	if n.Status.Phase != "Running" {
		t.Error("the status a kubelet registers with is gone")
	}
}

func TestNamespace(t *testing.T) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-x7k2p"}}
	Namespace.PrepareCreate(ns)
	if ns.Labels["kubernetes.io/metadata.name"] != "team-x7k2p" || len(ns.Spec.Finalizers) != 1 || ns.Status.Phase != "Active" {
		t.Errorf("got %+v", ns)
	}
	changed := ns.DeepCopy()
	changed.Spec.Finalizers, changed.Status.Phase, changed.Labels = nil, "Terminating", nil
	Namespace.PrepareUpdate(changed, ns)
	if diff := cmp.Diff(ns, changed); diff != "" {
		t.Errorf("after PrepareUpdate (-want +got):\n%s", diff)
	}
	final := ns.DeepCopy()
	final.Spec.Finalizers = nil
	prepareNamespaceFinalize(final, ns)
	if len(final.Spec.Finalizers) != 0 {
		t.Error("finalize did not change the finalizers")
	}
	ns.Spec.Finalizers = []corev1.FinalizerName{"mine"}
	want := []string{`spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified`}
	if diff := cmp.Diff(want, texts(Namespace.Validate(ns))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ns.Status.Phase = "Terminating"
	want = []string{"status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"}
	if diff := cmp.Diff(want, texts(Namespace.Subresource("status").Validate(ns, ns))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConfigMapErrors(t *testing.T) {
	base := func() *corev1.ConfigMap { return &corev1.ConfigMap{Data: map[string]string{"a": "b"}} }
	const keyRule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
	runValidate(t, ConfigMap, base, []errorCase[*corev1.ConfigMap]{
		{name: "valid"},
		{"keys", func(c *corev1.ConfigMap) {
			c.Data["a/b"], c.Data[".."], c.BinaryData = "", "", map[string][]byte{"a": nil}
		}, []string{
			"data[..]: Invalid value: \"..\": must not be '..'",
			`data[a/b]: Invalid value: "a/b": ` + keyRule,
			`data[a]: Invalid value: "a": duplicate of key present in binaryData`,
		}},
		{"size", func(c *corev1.ConfigMap) { c.Data["a"] = strings.Repeat("x", 1<<20+1) }, []string{"[]: Too long: may not be more than 1048576 bytes"}},
	})
	frozenMap := func() *corev1.ConfigMap { c := base(); c.Immutable = ptr(true); return c }
	runValidateUpdate(t, ConfigMap, frozenMap, []errorCase[*corev1.ConfigMap]{
		{"labels", func(c *corev1.ConfigMap) { c.Labels = map[string]string{"a": "b"} }, nil},
		{"data", func(c *corev1.ConfigMap) { c.Data["a"], c.Immutable = "c", nil }, []string{
			"immutable: Forbidden: field is immutable when `immutable` is set", "data: Forbidden: field is immutable when `immutable` is set",
		}},
	})
}

func TestSecretErrors(t *testing.T) {
	base := func() *corev1.Secret { return &corev1.Secret{} }
	runValidate(t, Secret, base, []errorCase[*corev1.Secret]{
		{name: "valid"},
		{"tls", func(s *corev1.Secret) { s.Type = corev1.SecretTypeTLS }, []string{"data[tls.crt]: Required value", "data[tls.key]: Required value"}},
		{"basic auth", func(s *corev1.Secret) { s.Type = corev1.SecretTypeBasicAuth }, []string{"data[username]: Required value", "data[password]: Required value"}},
		{"ssh", func(s *corev1.Secret) { s.Type = corev1.SecretTypeSSHAuth }, []string{"data[ssh-privatekey]: Required value"}},
		{"token", func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }, []string{"metadata.annotations[kubernetes.io/service-account.name]: Required value"}},
		{"docker config does not leak", func(s *corev1.Secret) {
			s.Type, s.Data = corev1.SecretTypeDockerConfigJson, map[string][]byte{".dockerconfigjson": []byte("hunter2")}
		}, []string{`data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character 'h' looking for beginning of value`}},
		{"size", func(s *corev1.Secret) { s.StringData = map[string]string{"a": strings.Repeat("x", 1<<20+1)} }, []string{"data: Too long: may not be more than 1048576 bytes"}},
	})
	runValidateUpdate(t, Secret, base, []errorCase[*corev1.Secret]{
		{"type", func(s *corev1.Secret) { s.Type = "a/b" }, []string{`type: Invalid value: "a/b": field is immutable`}},
	})
}

func TestEndpointsErrors(t *testing.T) {
	base := func() *corev1.Endpoints {
		return &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}}, Ports: []corev1.EndpointPort{{Port: 80}}}}}
	}
	bad := func(e *corev1.Endpoints) {
		e.Subsets[0].Addresses = []corev1.EndpointAddress{{IP: "127.0.0.1"}, {IP: "169.254.169.254", NodeName: ptr("N")}, {IP: "0.0.0.0"}}
		e.Subsets[0].Ports = []corev1.EndpointPort{{Port: 80}, {Name: "a", Port: 0}}
		e.Subsets = append(e.Subsets, corev1.EndpointSubset{})
	}
	want := []string{
		`subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`,
		`subsets[0].addresses[1].nodeName: Invalid value: "N": ` + subdomainRule,
		`subsets[0].addresses[1].ip: Invalid value: "169.254.169.254": may not be in the link-local range (169.254.0.0/16, fe80::/10)`,
		`subsets[0].addresses[2].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)`,
		"subsets[0].ports[0].name: Required value",
		"subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
		"subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`",
	}
	runValidate(t, Endpoints, base, []errorCase[*corev1.Endpoints]{{name: "valid"}, {"addresses and ports", bad, want}})
	runValidateUpdate(t, Endpoints, base, []errorCase[*corev1.Endpoints]{{"addresses and ports", bad, want}})
	badBase := func() *corev1.Endpoints { e := base(); bad(e); return e }
	runValidateUpdate(t, Endpoints, badBase, []errorCase[*corev1.Endpoints]{
		{"what was there stays", func(e *corev1.Endpoints) { e.Labels = map[string]string{"a": "b"} }, nil},
	})
}

func TestEventErrors(t *testing.T) {
	base := func() *corev1.Event {
		return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}, InvolvedObject: corev1.ObjectReference{Namespace: "team"}}
	}
	runValidate(t, Event, base, []errorCase[*corev1.Event]{
		{name: "valid"},
		{"other namespace", func(e *corev1.Event) { e.InvolvedObject.Namespace = "x" }, []string{`involvedObject.namespace: Invalid value: "x": does not match event.namespace`}},
		{"about a node, outside default", func(e *corev1.Event) { e.InvolvedObject.Namespace = "" }, []string{`involvedObject.namespace: Invalid value: "": does not match event.namespace`}},
		{"about a node, in default", func(e *corev1.Event) { e.InvolvedObject.Namespace, e.Namespace = "", "default" }, nil},
		{"with an event time", func(e *corev1.Event) {
			e.EventTime, e.ReportingController, e.Reason = metav1.NewMicroTime(metav1.Unix(1, 0).Time), "a/b", strings.Repeat("x", 129)
		}, []string{"reportingInstance: Required value", "action: Required value", `reason: Invalid value: "": can have at most 128 characters`}},
	})
}

func TestEventFields(t *testing.T) {
	e := &corev1.Event{ReportingController: "kubelet", Reason: "Started", Type: "Normal", InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web"}}
	got := fieldsOf(Event, e)
	if got["source"] != "kubelet" || got["reportingComponent"] != "kubelet" || got["involvedObject.name"] != "web" || got["reason"] != "Started" || len(got) != 11 {
		t.Errorf("got %v", got)
	}
}

func TestServiceAccount(t *testing.T) {
	sa := &corev1.ServiceAccount{Secrets: []corev1.ObjectReference{{Name: "a", Namespace: "x", Kind: "y"}}}
	ServiceAccount.PrepareCreate(sa)
	if diff := cmp.Diff([]corev1.ObjectReference{{Name: "a"}}, sa.Secrets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
