package network

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/plantest"
)

func makeService(change ...func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid-svc", ResourceVersion: "5", Labels: map[string]string{"team": "a"}},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.12", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP}}},
	}
	for _, f := range change {
		f(svc)
	}
	return svc
}

func noZone(string) string { return "" }

// shown is an endpoint as a test reads it.
type shown struct{ Ready, Serving, Terminating bool }

func TestEndpointsOfPods(t *testing.T) {
	tests := []struct {
		name string
		svc  *corev1.Service
		pod  *corev1.Pod
		want []shown
	}{
		{"ready", makeService(), plantest.MakePod("a"), []shown{{true, true, false}}},
		{"not ready", makeService(), plantest.MakePod("a", plantest.NotReady), []shown{{false, false, false}}},
		{"draining", makeService(), plantest.MakePod("a", plantest.Deleting), []shown{{false, true, true}}},
		{"ended", makeService(), plantest.MakePod("a", plantest.Phase(corev1.PodFailed)), nil},
		{"no address yet", makeService(), plantest.MakePod("a", plantest.Address("")), nil},
		{"only an IPv6 address", makeService(), plantest.MakePod("a", plantest.Address("fd00::1")), nil},
		{"an address that is none", makeService(), plantest.MakePod("a", plantest.Address("1.2.3")), nil},
		{"not ready but published", makeService(func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }), plantest.MakePod("a", plantest.NotReady), []shown{{true, false, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []shown
			for _, e := range wantedEndpoints(tt.svc, []*corev1.Pod{tt.pod}, discoveryv1.AddressTypeIPv4, noZone) {
				c := e.endpoint.Conditions
				got = append(got, shown{*c.Ready, *c.Serving, *c.Terminating})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPortsOfPods(t *testing.T) {
	sidecar := func(p *corev1.Pod) {
		always := corev1.ContainerRestartPolicyAlways
		p.Spec.InitContainers = []corev1.Container{{Name: "s", RestartPolicy: &always, Ports: []corev1.ContainerPort{{Name: "admin", ContainerPort: 9}}}}
	}
	port := func(p corev1.ServicePort) *corev1.Service {
		return makeService(func(s *corev1.Service) { s.Spec.Ports = []corev1.ServicePort{p} })
	}
	tests := []struct {
		name string
		svc  *corev1.Service
		pod  *corev1.Pod
		want string
	}{
		{"named", makeService(), plantest.MakePod("a"), "/TCP/8080"},
		{"number", port(corev1.ServicePort{Name: "x", Port: 80, TargetPort: intstr.FromInt32(81)}), plantest.MakePod("a"), "x/TCP/81"},
		{"none means the same", port(corev1.ServicePort{Port: 80}), plantest.MakePod("a"), "/TCP/80"},
		{"name of another protocol", port(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolUDP}), plantest.MakePod("a"), ""},
		{"unknown name", port(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("nope")}), plantest.MakePod("a"), ""},
		{"of a sidecar", port(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("admin")}), plantest.MakePod("a", sidecar), "/TCP/9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, p := range portsOf(tt.svc, tt.pod) {
				got += fmt.Sprintf("%s/%s/%d", *p.Name, *p.Protocol, *p.Port)
			}
			if got != tt.want {
				t.Errorf("ports %q, want %q", got, tt.want)
			}
		})
	}
}

// apply does a plan to slices held in a map.
func applySlices(t testing.TB, slices map[string]*discoveryv1.EndpointSlice, plan []controller.Action) {
	t.Helper()
	for _, a := range plan {
		es := a.Object.(*discoveryv1.EndpointSlice)
		_, exists := slices[es.Name]
		switch {
		case a.Do == controller.Create && exists:
			t.Fatalf("slice %s is created again", es.Name)
		case a.Do == controller.Delete:
			delete(slices, es.Name)
		default:
			slices[es.Name] = es
		}
	}
}

func sliceList(m map[string]*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	return slices.Collect(maps.Values(m))
}

func TestSlicesOfNoEndpoint(t *testing.T) {
	have := map[string]*discoveryv1.EndpointSlice{}
	applySlices(t, have, planSlices(makeService(), nil, nil, noZone))
	if len(have) != 1 {
		t.Fatalf("%d slices, want one without endpoints", len(have))
	}
	if plan := planSlices(makeService(), nil, sliceList(have), noZone); len(plan) > 0 {
		t.Errorf("nothing changed, and the plan is %v", plan)
	}
}

func TestSlicesOfHeadlessService(t *testing.T) {
	svc := makeService(func(s *corev1.Service) { s.Spec.ClusterIP = "None"; s.Spec.Ports = nil })
	host := func(p *corev1.Pod) { p.Spec.Hostname, p.Spec.Subdomain = "web-0", "web" }
	plan := planSlices(svc, []*corev1.Pod{plantest.MakePod("a", host)}, nil, noZone)
	es := plan[0].Object.(*discoveryv1.EndpointSlice)
	if _, ok := es.Labels[corev1.IsHeadlessService]; !ok {
		t.Errorf("labels %v, want %s", es.Labels, corev1.IsHeadlessService)
	}
	if len(es.Endpoints) != 1 || ptr.Deref(es.Endpoints[0].Hostname, "") != "web-0" || len(es.Ports) != 0 {
		t.Errorf("endpoints %v and ports %v, want one named web-0 and none", es.Endpoints, es.Ports)
	}
}

// Whatever pods come and go, the slices hold exactly the wanted endpoints, none holds too many, nothing is written twice, and
// a change of one pod touches at most two slices.
func TestSlicesFollowPods(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		have := map[string]*discoveryv1.EndpointSlice{}
		current := map[int]*corev1.Pod{}
		svc := makeService()
		for range rapid.IntRange(1, 8).Draw(r, "rounds") {
			n := rapid.SampledFrom([]int{1, 1, 1, 50, 230}).Draw(r, "changes")
			for range n {
				i := rapid.IntRange(0, 400).Draw(r, "pod")
				if current[i] != nil && rapid.Bool().Draw(r, "gone") {
					delete(current, i)
					continue
				}
				options := []plantest.PodOption{plantest.Address(fmt.Sprintf("10.244.%d.%d", i/200, i%200+1))}
				if rapid.Bool().Draw(r, "notReady") {
					options = append(options, plantest.NotReady)
				}
				current[i] = plantest.MakePod(fmt.Sprint("p", i), options...)
			}
			pods := slices.Collect(maps.Values(current))
			plan := planSlices(svc, pods, sliceList(have), noZone)
			if n == 1 && len(plan) > 2 {
				r.Fatalf("one pod changed, and %d slices are written", len(plan))
			}
			applySlices(t, have, plan)
			seen := map[string]bool{}
			for _, es := range have {
				if len(es.Endpoints) > maxPerSlice {
					r.Fatalf("%d endpoints in one slice", len(es.Endpoints))
				}
				for _, e := range es.Endpoints {
					if seen[e.TargetRef.Name] {
						r.Fatalf("pod %s is in two slices", e.TargetRef.Name)
					}
					seen[e.TargetRef.Name] = true
				}
			}
			if len(seen) != len(pods) {
				r.Fatalf("%d endpoints, want %d", len(seen), len(pods))
			}
			if again := planSlices(svc, pods, sliceList(have), noZone); len(again) > 0 {
				r.Fatalf("nothing changed, and the plan is %v", again)
			}
		}
	})
}

func TestEndpointsObject(t *testing.T) {
	pods := []*corev1.Pod{plantest.MakePod("a", plantest.Address("10.244.0.9")), plantest.MakePod("b", plantest.Address("10.244.0.2")), plantest.MakePod("c", plantest.NotReady, plantest.Address("10.244.0.3")), plantest.MakePod("d", plantest.Deleting)}
	plan := planEndpoints(makeService(), pods, nil)
	if len(plan) != 1 || plan[0].Do != controller.Create {
		t.Fatalf("plan %v, want a creation", plan)
	}
	ep := plan[0].Object.(*corev1.Endpoints)
	var got []string
	for _, a := range ep.Subsets[0].Addresses {
		got = append(got, a.IP)
	}
	for _, a := range ep.Subsets[0].NotReadyAddresses {
		got = append(got, "not "+a.IP)
	}
	if diff := cmp.Diff([]string{"10.244.0.2", "10.244.0.9", "not 10.244.0.3"}, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if len(ep.Subsets) != 1 || ep.Subsets[0].Ports[0].Port != 8080 {
		t.Errorf("subsets %v", ep.Subsets)
	}
	if ep.Labels[endpointsManagedBy] != endpointsManager || ep.Labels["team"] != "a" {
		t.Errorf("labels %v", ep.Labels)
	}
	if again := planEndpoints(makeService(), pods, ep); len(again) > 0 {
		t.Errorf("nothing changed, and the plan is %v", again)
	}
	var many []*corev1.Pod
	for i := range maxEndpoints + 5 {
		many = append(many, plantest.MakePod(fmt.Sprint("m", i), plantest.Address(fmt.Sprintf("10.244.%d.%d", i/200, i%200+1))))
	}
	big := planEndpoints(makeService(), many, ep)[0].Object.(*corev1.Endpoints)
	if n := len(big.Subsets[0].Addresses); n != maxEndpoints || big.Annotations[corev1.EndpointsOverCapacity] != "truncated" {
		t.Errorf("%d addresses with annotations %v, want %d and truncated", n, big.Annotations, maxEndpoints)
	}
}

func TestMirroring(t *testing.T) {
	byHand := func(change ...func(*corev1.Endpoints)) *corev1.Endpoints {
		ep := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid-ep", Labels: map[string]string{"mine": "1"}},
			Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "192.0.2.1"}, {IP: "2001:db8::1"}}, NotReadyAddresses: []corev1.EndpointAddress{{IP: "192.0.2.2"}}, Ports: []corev1.EndpointPort{{Port: 80}}}}}
		for _, f := range change {
			f(ep)
		}
		return ep
	}
	bare := makeService(func(s *corev1.Service) { s.Spec.Selector = nil })
	skip := func(ep *corev1.Endpoints) { ep.Labels[discoveryv1.LabelSkipMirror] = "true" }
	old := []*discoveryv1.EndpointSlice{{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-old"}}}
	tests := []struct {
		name     string
		svc      *corev1.Service
		ep       *corev1.Endpoints
		existing []*discoveryv1.EndpointSlice
		want     string
	}{
		{"by hand", bare, byHand(), nil, "create IPv4 2, create IPv6 1, "},
		{"no service", nil, byHand(), nil, ""},
		{"service has a selector", makeService(), byHand(), nil, ""},
		{"asked not to", bare, byHand(skip), nil, ""},
		{"gone", bare, nil, old, "delete  0, "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, a := range planMirror(tt.svc, tt.ep, tt.existing) {
				es := a.Object.(*discoveryv1.EndpointSlice)
				got += fmt.Sprintf("%s %s %d, ", a.Do, es.AddressType, len(es.Endpoints))
				if a.Do == controller.Create && (es.Labels[discoveryv1.LabelManagedBy] != mirrorManager || es.Labels["mine"] != "1") {
					t.Errorf("labels %v", es.Labels)
				}
			}
			if got != tt.want {
				t.Errorf("plan %q, want %q", got, tt.want)
			}
		})
	}
}
