package networking

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema/internal/checktest"
)

func newPolicy() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "np", CreationTimestamp: now},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				Ports: []networkingv1.NetworkPolicyPort{{Port: ptr(intstr.FromInt32(80))}},
				From:  []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16"}}}},
			}},
		},
	}
}

func TestNetworkPolicyErrors(t *testing.T) {
	type policy = networkingv1.NetworkPolicy
	const port, from = "spec.ingress[0].ports[0]", "spec.ingress[0].from[0]"
	ports := func(np *policy) *networkingv1.NetworkPolicyPort { return &np.Spec.Ingress[0].Ports[0] }
	peer := func(np *policy) *networkingv1.NetworkPolicyPeer { return &np.Spec.Ingress[0].From[0] }
	checktest.Create(t, NetworkPolicy, newPolicy, []checktest.Case[*policy]{
		{Name: "valid"},
		{"selector", func(np *policy) {
			np.Spec.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "x"}}
		}, []string{`spec.podSelector.matchExpressions[0].operator: Invalid value: "x": not a valid selector operator`}},
		{"protocol", func(np *policy) { ports(np).Protocol = ptr(corev1.Protocol("tcp")) }, []string{port + `.protocol: Unsupported value: "tcp": supported values: "TCP", "UDP", "SCTP"`}},
		{"port", func(np *policy) { ports(np).Port = ptr(intstr.FromInt32(0)) }, []string{port + ".port: Invalid value: 0: must be between 1 and 65535, inclusive"}},
		{"port's name", func(np *policy) { ports(np).Port, ports(np).EndPort = ptr(intstr.FromString("A")), ptr(int32(1)) }, []string{
			port + ".endPort: Invalid value: 1: may not be specified when `port` is non-numeric",
			port + `.port: Invalid value: "A": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
			port + `.port: Invalid value: "A": must contain at least one letter (a-z)`,
		}},
		{"end", func(np *policy) { ports(np).EndPort = ptr(int32(-1)) }, []string{
			port + ".endPort: Invalid value: 80: must be greater than or equal to `port`",
			port + ".endPort: Invalid value: -1: must be between 1 and 65535, inclusive",
		}},
		{"end of nothing", func(np *policy) { ports(np).Port, ports(np).EndPort = nil, ptr(int32(1)) }, []string{port + ".endPort: Invalid value: 1: may not be specified when `port` is not specified"}},
		{"no peer", func(np *policy) { *peer(np) = networkingv1.NetworkPolicyPeer{} }, []string{from + ": Required value: must specify a peer"}},
		{"two peers", func(np *policy) {
			peer(np).PodSelector, peer(np).NamespaceSelector = &metav1.LabelSelector{}, &metav1.LabelSelector{}
		},
			[]string{from + ": Forbidden: may not specify both ipBlock and another peer"}},
		{"no range", func(np *policy) { peer(np).IPBlock.CIDR = "" }, []string{from + ".ipBlock.cidr: Required value"}},
		{"range", func(np *policy) { peer(np).IPBlock.CIDR = "10.0.0.1" }, []string{from + `.ipBlock.cidr: Invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`}},
		{"exceptions", func(np *policy) { peer(np).IPBlock.Except = []string{"x", "11.0.0.0/16", "10.0.0.0/8"} }, []string{
			from + `.ipBlock.except[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`,
			from + ".ipBlock.except[1]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
			from + ".ipBlock.except[2]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
		}},
		{"egress", func(np *policy) {
			np.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: make([]networkingv1.NetworkPolicyPeer, 1)}}
		},
			[]string{"spec.egress[0].to[0]: Required value: must specify a peer"}},
		{"types", func(np *policy) { np.Spec.PolicyTypes = []networkingv1.PolicyType{"x"} }, []string{`spec.policyTypes[0]: Unsupported value: "x": supported values: "Ingress", "Egress"`}},
		{"many types", func(np *policy) { np.Spec.PolicyTypes = make([]networkingv1.PolicyType, 3) }, []string{`spec.policyTypes: Invalid value: ["","",""]: may not specify more than two policyTypes`}},
	})
	old := func() *policy {
		np := newPolicy()
		np.Spec.PodSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: metav1.LabelSelectorOpIn, Values: []string{"-"}}}
		peer(np).IPBlock = &networkingv1.IPBlock{CIDR: "10.0.0.1/8"}
		return np
	}
	checktest.Update(t, NetworkPolicy, old, []checktest.Case[*policy]{
		{"what was there may stay", func(np *policy) { np.Spec.Ingress = append(np.Spec.Ingress, np.Spec.Ingress[0]) }, nil},
		{"a new range", func(np *policy) { peer(np).IPBlock.CIDR = "10.0.0.2/8" }, []string{from + `.ipBlock.cidr: Invalid value: "10.0.0.2/8": must not have bits set beyond the prefix length`}},
	})
}

func TestNetworkPolicy(t *testing.T) {
	np := newPolicy()
	np.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{Ports: make([]networkingv1.NetworkPolicyPort, 1)}}
	NetworkPolicy.Default(np)
	NetworkPolicy.PrepareCreate(np)
	if diff := cmp.Diff([]networkingv1.PolicyType{"Ingress", "Egress"}, np.Spec.PolicyTypes); diff != "" || *np.Spec.Ingress[0].Ports[0].Protocol != "TCP" || *np.Spec.Egress[0].Ports[0].Protocol != "TCP" {
		t.Errorf("defaults: %+v", np.Spec)
	}
	changed := np.DeepCopy()
	changed.Spec.Egress = nil
	if NetworkPolicy.PrepareUpdate(changed, np); np.Generation != 1 || changed.Generation != 2 {
		t.Errorf("generations %d and %d", np.Generation, changed.Generation)
	}
	if diff := cmp.Diff([]any{"np", "app=web", "0s"}, NetworkPolicy.Row(np, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	np.Spec.Ingress[0].From[0].IPBlock = &networkingv1.IPBlock{CIDR: "FD00::/8", Except: []string{"fd00:0::/16"}}
	want := []string{
		`spec.ingress[0].from[0].ipBlock.cidr: IPv6 CIDR value "FD00::/8" should be in RFC 5952 canonical format ("fd00::/8")`,
		`spec.ingress[0].from[0].ipBlock.except[0]: IPv6 CIDR value "fd00:0::/16" should be in RFC 5952 canonical format ("fd00::/16")`,
	}
	if diff := cmp.Diff(want, NetworkPolicy.Warnings(np, np)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
