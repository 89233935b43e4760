package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// text is a frontend in one line: "10.96.0.12:80/tcp pick-2 10.244.1.2:8080 10.244.1.3:8080 masq hairpin=10.244.1.2".
func (f *frontend) text() string {
	parts := []string{f.key.String(), f.chain + f.unserved}
	for _, s := range f.slots {
		parts = append(parts, s.String())
	}
	if f.masq && f.chain != "" {
		parts = append(parts, "masq")
	}
	if f.source.IsValid() {
		parts = append(parts, "source="+f.source.String())
	}
	for _, a := range f.hairpin {
		parts = append(parts, "hairpin="+a.String())
	}
	return strings.Join(parts, " ")
}

func with(s *corev1.Service, change func(*corev1.Service)) *corev1.Service { change(s); return s }

func TestCompileService(t *testing.T) {
	web := func() *corev1.Service { return service("web", "10.96.0.12", port("", 80, 0)) }
	nodePort := func() *corev1.Service { return service("web", "10.96.0.12", port("", 80, 30080)) }
	localOnly := func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }
	insideLocal := func(s *corev1.Service) {
		p := corev1.ServiceInternalTrafficPolicyLocal
		s.Spec.InternalTrafficPolicy = &p
	}
	hints := func(s *discoveryv1.EndpointSlice, zones ...string) *discoveryv1.EndpointSlice {
		for i, z := range zones {
			s.Endpoints[i].Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: z}}}
		}
		return s
	}
	tests := []struct {
		name string
		svc  *corev1.Service
		eps  []*discoveryv1.EndpointSlice
		want string
	}{
		{"two endpoints", web(), eps(slice("web", "", 8080, "10.244.2.3@n2", "10.244.1.2@n1")),
			"10.96.0.12:80/tcp pick-2 10.244.1.2:8080 10.244.2.3:8080 masq hairpin=10.244.1.2"},
		{"none", web(), nil, "10.96.0.12:80/tcp refuse"},
		{"unready ones", web(), eps(slice("web", "", 8080, "10.244.1.2@n1 unready", "10.244.1.3@n1 dead")), "10.96.0.12:80/tcp refuse"},
		{"ready before terminating", web(), eps(slice("web", "", 8080, "10.244.2.2@n2 terminating", "10.244.2.3@n2")), "10.96.0.12:80/tcp pick-1 10.244.2.3:8080 masq"},
		{"terminating when none is ready", web(), eps(slice("web", "", 8080, "10.244.2.2@n2 terminating", "10.244.2.3@n2 dead")), "10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq"},
		{"once in two slices", web(), eps(slice("web", "", 8080, "10.244.2.2@n2 unready"), slice("web", "", 8080, "10.244.2.2@n2")), "10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq"},
		{"another port's slice", web(), eps(slice("web", "admin", 8080, "10.244.2.2@n2")), "10.96.0.12:80/tcp refuse"},
		{"another protocol's slice", web(), eps(udpSlice(slice("web", "", 8080, "10.244.2.2@n2"))), "10.96.0.12:80/tcp refuse"},
		{"sctp", service("s", "10.96.0.12", corev1.ServicePort{Port: 80, Protocol: corev1.ProtocolSCTP}), nil, "10.96.0.12:80/sctp refuse"},
		{"headless", service("s", "None", port("", 80, 0)), nil, ""},
		{"external name", with(web(), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }), nil, ""},
		{"another proxy's", with(web(), func(s *corev1.Service) { s.Labels = map[string]string{"service.kubernetes.io/service-proxy-name": "x"} }), nil, ""},
		{"invalid endpoints", web(), eps(slice("web", "", 8080, "127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "10.244.1.1", "rubbish", "", "10.244.2.2")),
			"10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq"},
		{"invalid cluster IPs", with(web(), func(s *corev1.Service) {
			s.Spec.ClusterIPs = []string{"127.0.0.1", "10.244.1.2", "192.0.2.10", "169.254.169.254", "x"}
		}), nil, ""},
		{"invalid ports", service("s", "10.96.0.12", port("a", 0, 0), port("b", 70000, 0), port("c", -1, 0)), nil, ""},
		{"sticky", withAffinity(web()), eps(slice("web", "", 8080, "10.244.2.2@n2")), "10.96.0.12:80/tcp sticky-1-10800 10.244.2.2:8080 masq"},
		{"sticky frontends number their endpoints alike", withAffinity(nodePort()), eps(slice("web", "", 8080, "10.244.1.2@n2", "10.244.1.9@n1")),
			"10.96.0.12:80/tcp sticky-2-10800 10.244.1.9:8080 10.244.1.2:8080 masq hairpin=10.244.1.9\n" +
				"192.0.2.10:30080/tcp sticky-2-10800 10.244.1.9:8080 10.244.1.2:8080 masq hairpin=10.244.1.9"},
		{"sticky, external local", with(withAffinity(nodePort()), localOnly), eps(slice("web", "", 8080, "10.244.1.2@n2", "10.244.1.9@n1")),
			"10.96.0.12:80/tcp sticky-2-10800 10.244.1.9:8080 10.244.1.2:8080 masq hairpin=10.244.1.9\n" +
				"192.0.2.10:30080/tcp local-1-2-10800 10.244.1.9:8080 10.244.1.2:8080 hairpin=10.244.1.9"},
		{"sticky for a minute", with(withAffinity(web()), func(s *corev1.Service) {
			minute := int32(60)
			s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &minute}}
		}), eps(slice("web", "", 8080, "10.244.2.2@n2")), "10.96.0.12:80/tcp sticky-1-60 10.244.2.2:8080 masq"},
		{"node port", nodePort(), eps(slice("web", "", 8080, "10.244.2.2@n2")),
			"10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq\n192.0.2.10:30080/tcp pick-1 10.244.2.2:8080 masq"},
		{"node port of another kind", service("web", "10.96.0.12", port("", 80, 6443)), nil, "10.96.0.12:80/tcp refuse"},
		{"external local", with(nodePort(), localOnly), eps(slice("web", "", 8080, "10.244.1.2@n1", "10.244.2.2@n2", "10.244.1.9@n1")),
			"10.96.0.12:80/tcp pick-3 10.244.1.2:8080 10.244.1.9:8080 10.244.2.2:8080 masq hairpin=10.244.1.2 hairpin=10.244.1.9\n" +
				"192.0.2.10:30080/tcp local-2-3 10.244.1.2:8080 10.244.1.9:8080 10.244.2.2:8080 hairpin=10.244.1.2 hairpin=10.244.1.9"},
		{"external local, none on this node", with(nodePort(), localOnly), eps(slice("web", "", 8080, "10.244.2.2@n2")),
			"10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq\n192.0.2.10:30080/tcp local-0-1 10.244.2.2:8080"},
		{"external local, none at all", with(nodePort(), localOnly), nil, "10.96.0.12:80/tcp refuse\n192.0.2.10:30080/tcp refuse"},
		{"external local, only a terminating one on this node", with(nodePort(), localOnly), eps(slice("web", "", 8080, "10.244.1.2@n1 terminating")),
			"10.96.0.12:80/tcp pick-1 10.244.1.2:8080 masq hairpin=10.244.1.2\n192.0.2.10:30080/tcp local-1-1 10.244.1.2:8080 hairpin=10.244.1.2"},
		{"internal local", with(web(), insideLocal), eps(slice("web", "", 8080, "10.244.1.2@n1", "10.244.2.2@n2")),
			"10.96.0.12:80/tcp pick-1 10.244.1.2:8080 masq hairpin=10.244.1.2"},
		{"internal local, none on this node", with(web(), insideLocal), eps(slice("web", "", 8080, "10.244.2.2@n2")), "10.96.0.12:80/tcp ignore"},
		{"load balancer", with(web(), func(s *corev1.Service) {
			proxied := corev1.LoadBalancerIPModeProxy
			s.Spec.Type = corev1.ServiceTypeLoadBalancer
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.7"}, {IP: "198.51.100.8", IPMode: &proxied}, {IP: "127.0.0.1"}, {IP: "10.244.1.2"}, {Hostname: "x"}}
		}), eps(slice("web", "", 8080, "10.244.2.2@n2")), "10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq\n198.51.100.7:80/tcp pick-1 10.244.2.2:8080 masq"},
		{"external IPs are off", with(web(), func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"198.51.100.7"} }), nil, "10.96.0.12:80/tcp refuse"},
		{"an endpoint that is the node itself has no hairpin", web(), eps(slice("web", "", 6443, "192.0.2.10@n1")), "10.96.0.12:80/tcp pick-1 192.0.2.10:6443 masq"},
		{"this zone's endpoints", web(), eps(hints(slice("web", "", 8080, "10.244.2.2@n2", "10.244.2.3@n2"), "z1", "z2")), "10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq"},
		{"hints of some only", web(), eps(hints(slice("web", "", 8080, "10.244.2.2@n2", "10.244.2.3@n2"), "z1")), "10.96.0.12:80/tcp pick-2 10.244.2.2:8080 10.244.2.3:8080 masq"},
		{"hints of other zones", web(), eps(hints(slice("web", "", 8080, "10.244.2.2@n2"), "z9")), "10.96.0.12:80/tcp pick-1 10.244.2.2:8080 masq"},
	}
	zoned := *testNode
	zoned.zone = "z1"
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range compileService(tt.svc, tt.eps, &zoned) {
				got = append(got, f.text())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func eps(s ...*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice { return s }

func TestResolveConflicts(t *testing.T) {
	aged := func(name, ip string, age int64, ports ...corev1.ServicePort) *corev1.Service {
		return with(service(name, ip, ports...), func(s *corev1.Service) { s.CreationTimestamp = metav1.Unix(age, 0) })
	}
	onLoadBalancer := func(s *corev1.Service, ip string) *corev1.Service {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: ip}}
		return s
	}
	tests := []struct {
		name      string
		in        []*corev1.Service
		want      string // owner of each key
		conflicts string
	}{
		{"no conflict", []*corev1.Service{aged("a", "10.96.0.1", 1, port("", 80, 0)), aged("b", "10.96.0.2", 2, port("", 80, 0))},
			"10.96.0.1:80/tcp default/a, 10.96.0.2:80/tcp default/b", ""},
		{"the older gets a cluster IP with all its ports", []*corev1.Service{aged("b", "10.96.0.1", 2, port("x", 80, 0), port("y", 81, 0)), aged("a", "10.96.0.1", 1, port("", 80, 0))},
			"10.96.0.1:80/tcp default/a", "10.96.0.1:80/tcp default/b default/a, 10.96.0.1:81/tcp default/b default/a"},
		{"of equal age the lower UID", []*corev1.Service{aged("b", "10.96.0.1", 1, port("", 80, 0)), aged("a", "10.96.0.1", 1, port("", 80, 0))},
			"10.96.0.1:80/tcp default/a", "10.96.0.1:80/tcp default/b default/a"},
		{"a node port twice", []*corev1.Service{aged("b", "10.96.0.2", 2, port("", 80, 30001)), aged("a", "10.96.0.1", 1, port("", 80, 30001))},
			"10.96.0.1:80/tcp default/a, 10.96.0.2:80/tcp default/b, 192.0.2.10:30001/tcp default/a", "192.0.2.10:30001/tcp default/b default/a"},
		{"a cluster IP takes precedence over a load balancer's address", []*corev1.Service{
			onLoadBalancer(aged("lb", "10.96.0.3", 1, port("", 80, 0)), "10.96.0.1"), aged("a", "10.96.0.1", 2, port("", 80, 0))},
			"10.96.0.1:80/tcp default/a, 10.96.0.3:80/tcp default/lb", "10.96.0.1:80/tcp default/lb default/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := map[string]*compiledObject{}
			for _, s := range tt.in {
				all[name(s)] = &compiledObject{obj: s, frontends: compileService(s, nil, testNode)}
			}
			c := newClaims()
			c.update(all, nil)
			won, lost := c.won, c.conflicts()
			var got, conflicts []string
			for k, f := range won {
				got = append(got, fmt.Sprint(k, " ", f.owner))
			}
			for _, c := range lost {
				conflicts = append(conflicts, fmt.Sprint(c.key, " ", c.loser, " ", c.owner))
			}
			if diff := cmp.Diff(tt.want, strings.Join(sortedStrings(got), ", ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.conflicts, strings.Join(conflicts, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseChain(t *testing.T) {
	for _, n := range []string{"pick-3", "sticky-3-10800", "local-1-3", "local-0-3-60"} {
		c, ok := parseChain(n)
		if needs := c.needs(); !ok || needs[len(needs)-1] != n {
			t.Errorf("%s: %+v, %v, needs %v", n, c, ok, needs)
		}
	}
	for _, n := range []string{"", "pick", "pick-0", "pick-x", "pick-1-2", "pick--1", "sticky-3", "local-3", "refuse", "other-1"} {
		if c, ok := parseChain(n); ok {
			t.Errorf("%q is parsed as %+v", n, c)
		}
	}
}
