package discovery

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func ptr[T any](v T) *T { return &v }

func texts(errs field.ErrorList) (list []string) {
	for _, e := range errs {
		list = append(list, e.Error())
	}
	return list
}

func simpleSlice() *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{AddressType: "IPv4", Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}, Ports: []discoveryv1.EndpointPort{{Port: ptr(int32(80))}}}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   func(*discoveryv1.EndpointSlice)
		want []string
	}{
		{"valid", func(*discoveryv1.EndpointSlice) {}, nil},
		{"no type", func(s *discoveryv1.EndpointSlice) { s.AddressType = "" }, []string{"addressType: Required value"}},
		{"type", func(s *discoveryv1.EndpointSlice) { s.AddressType = "MAC" }, []string{`addressType: Unsupported value: "MAC": supported values: "FQDN", "IPv4", "IPv6"`}},
		{"addresses of the node or its link", func(s *discoveryv1.EndpointSlice) {
			s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"127.0.0.1", "169.254.0.1"}}, {}}
		}, []string{
			`endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`,
			`endpoints[0].addresses[1]: Invalid value: "169.254.0.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)`,
			"endpoints[1].addresses: Required value: must contain at least 1 address",
		}},
		{"family", func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{"fd00::1"} },
			[]string{`endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address`}},
		{"ports", func(s *discoveryv1.EndpointSlice) {
			s.Ports = []discoveryv1.EndpointPort{{Name: ptr("a")}, {Name: ptr("a")}, {Name: ptr("-")}}
		}, []string{
			`ports[1].name: Duplicate value: "a"`,
			`ports[2].name: Invalid value: "-": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
		}},
		{"too many", func(s *discoveryv1.EndpointSlice) { s.Endpoints = make([]discoveryv1.Endpoint, 1001) }, []string{"endpoints: Too many: 1001: must have at most 1000 items"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := simpleSlice()
			tt.in(s)
			EndpointSlice.Default(s)
			if diff := cmp.Diff(tt.want, texts(EndpointSlice.Validate(s))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	old := simpleSlice()
	EndpointSlice.Default(old)
	EndpointSlice.PrepareCreate(old)
	if *old.Ports[0].Name != "" || *old.Ports[0].Protocol != "TCP" || old.Generation != 1 {
		t.Errorf("after create: %+v", old)
	}
	same, changed := old.DeepCopy(), old.DeepCopy()
	same.Annotations = map[string]string{"a": "b"}
	changed.Endpoints[0].Addresses = []string{"10.0.0.2"}
	changed.Endpoints[0].DeprecatedTopology = map[string]string{"a": "b"}
	EndpointSlice.PrepareUpdate(same, old)
	EndpointSlice.PrepareUpdate(changed, old)
	if same.Generation != 1 || changed.Generation != 2 || changed.Endpoints[0].DeprecatedTopology != nil {
		t.Errorf("generations %d, %d; %+v", same.Generation, changed.Generation, changed.Endpoints[0])
	}
	changed.AddressType, changed.Endpoints = "IPv6", nil
	want := []string{`addressType: Invalid value: "IPv6": field is immutable`}
	if diff := cmp.Diff(want, texts(EndpointSlice.ValidateUpdate(changed, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEmptyListsAreNull(t *testing.T) {
	s := &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{}, Ports: []discoveryv1.EndpointPort{}}
	if EndpointSlice.Default(s); s.Endpoints != nil || s.Ports != nil {
		t.Errorf("endpoints %v, ports %v, want null as Kubernetes shows them", s.Endpoints, s.Ports)
	}
}
