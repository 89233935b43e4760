package network

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"gantry/agents/controllers/controller"
)

func TestKubernetesServicePlans(t *testing.T) {
	ip := netip.MustParseAddr("10.96.0.1")
	at := func(texts ...string) (all []netip.AddrPort) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddrPort(text))
		}
		return all
	}
	two := at("10.0.0.1:6443", "10.0.0.2:6443")
	made := func(gateways []netip.AddrPort) *apiObjects {
		return &apiObjects{apiService(ip, 6443), apiEndpoints(gateways), apiSlices(gateways)}
	}
	foreign := made(two)
	foreign.slices = append(foreign.slices, &discoveryv1.EndpointSlice{})
	foreign.slices[1].Name, foreign.slices[1].Labels = "by-hand", map[string]string{discoveryv1.LabelManagedBy: "somebody"}
	family := made(two)
	family.slices[0].AddressType = discoveryv1.AddressTypeIPv6
	port := made(two)
	port.service.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 443}}
	tests := []struct {
		name     string
		gateways []netip.AddrPort
		have     *apiObjects
		want     []string
	}{
		{"first", two, &apiObjects{}, []string{"create Service kubernetes", "create Endpoints kubernetes", "create EndpointSlice kubernetes"}},
		{"nothing changed", two, made(two), nil},
		{"no gateway", nil, made(two), nil},
		{"no namespace", two, nil, nil},
		{"one less", two[:1], made(two), []string{"update Endpoints kubernetes", "update EndpointSlice kubernetes"}},
		{"two ports", at("10.0.0.1:6443", "10.0.0.1:7443"), made(two[:1]), []string{"update Endpoints kubernetes", "create EndpointSlice kubernetes-7443"}},
		{"one port again", two[:1], made(at("10.0.0.1:6443", "10.0.0.1:7443")), []string{"update Endpoints kubernetes", "delete EndpointSlice kubernetes-7443"}},
		{"a slice of another manager", two, foreign, nil},
		{"another family", two, family, []string{"delete EndpointSlice kubernetes"}},
		{"a gateway of the other family", append(two[:2:2], netip.MustParseAddrPort("[fd00::1]:6443")), made(two), nil},
		{"another port name", two, port, []string{"update Service kubernetes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, a := range planKubernetesService(ip, tt.gateways, tt.have) {
				got = append(got, string(a.Do)+" "+a.Kind.Kind+" "+a.Object.GetName())
				if a.Reason == "" || a.Do == controller.UpdateStatus {
					t.Errorf("%v has no reason", a)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}
