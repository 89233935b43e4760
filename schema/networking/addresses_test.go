package networking

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func newAddress() *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.7", CreationTimestamp: now},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "default", Name: "web"}},
	}
}

func TestIPAddress(t *testing.T) {
	type address = networkingv1.IPAddress
	checktest.Create(t, IPAddress, newAddress, []checktest.Case[*address]{
		{Name: "valid"},
		{"no parent", func(a *address) { a.Spec.ParentRef = nil }, []string{"spec.parentRef: Required value"}},
		{"parent", func(a *address) {
			*a.Spec.ParentRef = networkingv1.ParentReference{Group: "A", Resource: "a/b", Namespace: ".."}
		}, []string{
			`spec.parentRef.group: Invalid value: "A": ` + subdomainRule,
			`spec.parentRef.resource: Invalid value: "a/b": may not contain '/'`,
			"spec.parentRef.name: Required value",
			`spec.parentRef.namespace: Invalid value: "..": may not be '..'`,
		}},
	})
	checktest.Update(t, IPAddress, newAddress, []checktest.Case[*address]{
		{"labels", func(a *address) { a.Labels = map[string]string{"a": "b"} }, nil},
		{"parent", func(a *address) { a.Spec.ParentRef.Name = "x" },
			[]string{`spec.parentRef: Invalid value: {"Group":"","Resource":"services","Namespace":"default","Name":"x"}: field is immutable`}},
	})
	for name, want := range map[string][]string{
		"10.96.0.7": nil, "fd00::1": nil,
		"x":       {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"},
		"FD00::1": {`must be in canonical form ("fd00::1")`},
	} {
		if diff := cmp.Diff(want, IPAddress.ValidateName(name, false)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]any{"10.96.0.7", "services/default/web", "0s"}, IPAddress.Row(newAddress(), now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"", "<none>", "<unknown>"}, IPAddress.Row(&address{}, now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}

func TestServiceCIDR(t *testing.T) {
	type cidr = networkingv1.ServiceCIDR
	base := func() *cidr {
		return &cidr{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/24"}}}
	}
	set := func(cidrs ...string) func(*cidr) { return func(c *cidr) { c.Spec.CIDRs = cidrs } }
	checktest.Create(t, ServiceCIDR, base, []checktest.Case[*cidr]{
		{Name: "valid"},
		{"two families", set("10.0.0.0/24", "fd00::/112"), nil},
		{"none", set(), []string{"spec.cidrs: Required value: at least one CIDR required"}},
		{"three", set("a", "b", "c"), []string{`spec.cidrs: Invalid value: {"CIDRs":["a","b","c"]}: may only hold up to 2 values`}},
		{"one family", set("10.0.0.0/24", "10.0.1.0/24"), []string{`spec.cidrs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64`}},
		{"text", set("x"), []string{`spec.cidrs[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`}},
	})
	checktest.Update(t, ServiceCIDR, base, []checktest.Case[*cidr]{
		{"a second family", set("10.0.0.0/24", "fd00::/112"), nil},
		{"another", set("10.0.1.0/24"), []string{`spec.cidrs[0]: Invalid value: "10.0.1.0/24": field is immutable`}},
		{"another of two", set("10.0.1.0/24", "x"), []string{
			`spec.cidrs[0]: Invalid value: "10.0.1.0/24": field is immutable`,
			`spec.cidrs[1]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`,
		}},
		{"none", set(), []string{`spec.cidrs: Invalid value: null: field is immutable`}},
	})
	old, obj := base(), base()
	old.Status.Conditions, obj.Labels = []metav1.Condition{{Type: "Ready"}}, map[string]string{"a": "b"}
	status := obj.DeepCopy()
	if ServiceCIDR.PrepareUpdate(obj, old); len(obj.Status.Conditions) != 1 {
		t.Errorf("status after an update: %+v", obj.Status)
	}
	if ServiceCIDR.Subresource("status").Prepare(status, old); len(status.Labels) != 0 || len(status.Status.Conditions) != 0 {
		t.Errorf("after a write of the status: %+v", status)
	}
	if ServiceCIDR.PrepareCreate(old); old.Status.Conditions != nil {
		t.Errorf("status after create: %+v", old.Status)
	}
	if diff := cmp.Diff([]any{"more", "10.0.0.0/24", "<unknown>"}, ServiceCIDR.Row(base(), now)); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}
