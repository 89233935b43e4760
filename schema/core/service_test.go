package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func simpleService() *corev1.Service {
	svc := &corev1.Service{}
	svc.Name, svc.Namespace = "web", "default"
	svc.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	return svc
}

func givenService() *corev1.Service {
	svc := simpleService()
	svc.Spec.Type = corev1.ServiceTypeNodePort
	svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "10.96.0.5", []string{"10.96.0.5"}
	svc.Spec.IPFamilies, svc.Spec.IPFamilyPolicy = []corev1.IPFamily{"IPv4"}, ptr(corev1.IPFamilyPolicySingleStack)
	svc.Spec.Ports[0].NodePort = 30080
	Service.Default(svc)
	return svc
}

func TestServiceErrors(t *testing.T) {
	runValidate(t, Service, simpleService, []errorCase[*corev1.Service]{
		{name: "valid, not given an address yet"},
		{"no ports", func(s *corev1.Service) { s.Spec.Ports = nil }, []string{"spec.ports: Required value"}},
		{"headless without ports", func(s *corev1.Service) {
			s.Spec.Ports, s.Spec.ClusterIP, s.Spec.ClusterIPs = nil, "None", []string{"None"}
		}, nil},
		{"ports", func(s *corev1.Service) {
			s.Spec.Ports = []corev1.ServicePort{{Port: 0}, {Name: "a", Port: 80, NodePort: 30000}, {Name: "a", Port: 80, Protocol: "X", TargetPort: intstr.FromString("a_b")}, {Name: "c", Port: 80}}
		}, []string{
			"spec.ports[0].name: Required value",
			"spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
			"spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
			"spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
			`spec.ports[2].name: Duplicate value: "a"`,
			`spec.ports[2].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"`,
			`spec.ports[2].targetPort: Invalid value: "a_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
			`spec.ports[3]: Duplicate value: {"protocol":"TCP","port":80,"targetPort":0}`,
		}},
		{"type", func(s *corev1.Service) { s.Spec.Type = "Magic" },
			[]string{`spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"`}},
		{"external name", func(s *corev1.Service) { s.Spec.Type = "ExternalName" }, []string{"spec.externalName: Required value"}},
		{"headless node port", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ClusterIP, s.Spec.ClusterIPs = "NodePort", "None", []string{"None"}
		}, []string{`spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`}},
		{"cluster IPs", func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies = "10.0.0.1", []string{"fd00::1"}, []corev1.IPFamily{"IPv4", "IPv4"}
		}, []string{
			"spec.clusterIPs: Invalid value: [\"fd00::1\"]: first value must match `clusterIP`",
			`spec.ipFamilies[1]: Duplicate value: "IPv4"`,
			"spec.clusterIPs[0]: Invalid value: \"fd00::1\": expected an IPv4 value as indicated by `ipFamilies[0]`",
		}},
		{"session", func(s *corev1.Service) {
			s.Spec.SessionAffinity = "ClientIP"
			s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(86401))}}
		}, []string{"spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400"}},
		{"traffic", func(s *corev1.Service) {
			s.Spec.ExternalTrafficPolicy, s.Spec.InternalTrafficPolicy, s.Spec.HealthCheckNodePort = "Local", ptr(corev1.ServiceInternalTrafficPolicy("x")), 30000
		}, []string{
			`spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services`,
			"spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
			`spec.internalTrafficPolicy: Unsupported value: "x": supported values: "Cluster", "Local"`,
		}},
		{"external IPs", func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"127.0.0.1", "x"} }, []string{
			`spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`,
			`spec.externalIPs[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
		}},
		{"load balancer fields", func(s *corev1.Service) {
			s.Spec.LoadBalancerSourceRanges, s.Spec.LoadBalancerClass = []string{"10.0.0.0/8"}, ptr("a/b")
		}, []string{
			"spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
			"spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
		}},
	})
}

func TestServiceUpdateErrors(t *testing.T) {
	runValidateUpdate(t, Service, givenService, []errorCase[*corev1.Service]{
		{"selector", func(s *corev1.Service) { s.Spec.Selector = map[string]string{"a": "b"} }, nil},
		{"address changes", func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.96.0.6", []string{"10.96.0.6"} },
			[]string{`spec.clusterIPs[0]: Invalid value: ["10.96.0.6"]: may not change once set`}},
		{"becomes headless", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalTrafficPolicy, s.Spec.Ports[0].NodePort = "ClusterIP", "", 0
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"}
		}, []string{`spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set`}},
	})
}

// TestServicePrepareUpdate checks that a manifest may be written again unchanged, and that the type may change, although neither names the
// addresses and ports that the Service was given.
func TestServicePrepareUpdate(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   func(*corev1.Service)
		want func(*corev1.ServiceSpec)
	}{
		{"the same manifest again", func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies, s.Spec.IPFamilyPolicy, s.Spec.Ports[0].NodePort = "", nil, nil, nil, 0
		}, func(*corev1.ServiceSpec) {}},
		{"clusterIP alone, by an old client", func(s *corev1.Service) { s.Spec.ClusterIP = "10.96.0.9" },
			func(s *corev1.ServiceSpec) {
				s.ClusterIP, s.ClusterIPs = "10.96.0.9", []string{"10.96.0.9"}
			}},
		{"to ClusterIP", func(s *corev1.Service) { s.Spec.Type = "ClusterIP" },
			func(s *corev1.ServiceSpec) {
				s.Type, s.Ports[0].NodePort, s.ExternalTrafficPolicy = "ClusterIP", 0, ""
			}},
		{"to ExternalName", func(s *corev1.Service) { s.Spec.Type, s.Spec.ExternalName = "ExternalName", "a.b" },
			func(s *corev1.ServiceSpec) {
				s.Type, s.ExternalName, s.Ports[0].NodePort, s.ExternalTrafficPolicy = "ExternalName", "a.b", 0, ""
				s.ClusterIP, s.ClusterIPs, s.IPFamilies, s.IPFamilyPolicy = "", nil, nil, nil
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old, svc, want := givenService(), givenService(), givenService()
			tt.in(svc)
			tt.want(&want.Spec)
			Service.PrepareUpdate(svc, old)
			if diff := cmp.Diff(want.Spec, svc.Spec); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestServiceStatusErrors(t *testing.T) {
	svc, old := givenService(), givenService()
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "1.2.3.4"}}
	want := []string{"status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"}
	if diff := cmp.Diff(want, texts(Service.Subresource("status").Validate(svc, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	svc.Spec.Type = "LoadBalancer"
	svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{Hostname: "1.2.3.4", IPMode: ptr(corev1.LoadBalancerIPModeVIP)})
	want = []string{
		"status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set",
		"status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
		`status.loadBalancer.ingress[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address`,
	}
	if diff := cmp.Diff(want, texts(Service.Subresource("status").Validate(svc, old))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestServiceWarnings(t *testing.T) {
	svc := simpleService()
	svc.Spec.ExternalName, svc.Spec.ExternalIPs, svc.Spec.TrafficDistribution = "x", []string{"1.2.3.4"}, ptr("PreferClose")
	want := []string{
		"spec.externalIPs is deprecated and may no longer be implemented in some clusters",
		`spec.externalName is ignored when spec.type is not "ExternalName"`,
		`spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"`,
	}
	if diff := cmp.Diff(want, Service.Warnings(svc, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
