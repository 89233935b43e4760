package proxy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/internal/nft"
)

var (
	vip      = netip.MustParseAddr("10.96.0.77")
	nodeIP   = netip.MustParseAddr("192.0.2.10")
	twoSlots = []netip.AddrPort{netip.MustParseAddrPort("10.244.1.2:8080"), netip.MustParseAddrPort("10.244.1.3:8080")}
	testNode = &nodeInfo{
		name: "n1", addrs: []netip.Addr{nodeIP}, family: nft.IPv4, clusterCIDR: clusterCIDR,
		gateways: map[netip.Addr]bool{netip.MustParseAddr("10.244.1.1"): true},
	}
)

func port(name string, p, nodePort int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: p, NodePort: nodePort, Protocol: corev1.ProtocolTCP}
}

func udp(p corev1.ServicePort) corev1.ServicePort { p.Protocol = corev1.ProtocolUDP; return p }

func service(name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(1000, 0)},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip}, Ports: ports},
	}
	if slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.NodePort != 0 }) {
		s.Spec.Type = corev1.ServiceTypeNodePort
	}
	return s
}

func withAffinity(s *corev1.Service) *corev1.Service {
	s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
	return s
}

// balanced makes s one of type LoadBalancer with an address and source ranges.
func balanced(s *corev1.Service, address string, ranges ...string) *corev1.Service {
	s.Spec.Type, s.Spec.LoadBalancerSourceRanges = corev1.ServiceTypeLoadBalancer, ranges
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
	return s
}

// slice has endpoints "address@node" with flags behind: "10.244.1.2@n1 terminating", "... unready", "... dead".
func slice(svc, portName string, p int32, endpoints ...string) *discoveryv1.EndpointSlice {
	tcp := corev1.ProtocolTCP
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: svc + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: svc}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &p, Protocol: &tcp}},
	}
	for _, text := range endpoints {
		addr, flag, _ := strings.Cut(text, " ")
		ip, onNode, _ := strings.Cut(addr, "@")
		yes, no := true, false
		e := discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}
		if onNode != "" {
			e.NodeName = &onNode
		}
		switch flag {
		case "terminating":
			e.Conditions = discoveryv1.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
		case "unready":
			e.Conditions = discoveryv1.EndpointConditions{Ready: &no, Serving: &no, Terminating: &no}
		case "dead":
			e.Conditions = discoveryv1.EndpointConditions{Ready: &no, Serving: &no, Terminating: &yes}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

func udpSlice(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	u := corev1.ProtocolUDP
	s.Ports[0].Protocol = &u
	return s
}

// setService compiles a service into p.
func setService(p *syncer, svc *corev1.Service, eps ...*discoveryv1.EndpointSlice) {
	p.compiled[name(svc)] = &compiledObject{obj: svc, frontends: compileService(svc, eps, testNode)}
}

func sortedStrings(s []string) []string { slices.Sort(s); return s }

// listenForTest runs the monitor until the test ends; the channel is closed when it listens.
func listenForTest(t *testing.T, k *kernelTable, changed chan struct{}) <-chan struct{} {
	t.Helper()
	ready, done := make(chan struct{}), make(chan error)
	go func() { done <- nft.Monitor(t.Context(), k.isForeign, changed) }()
	go func() {
		// The monitor listens once it reports a table that is made for this.
		defer close(ready)
		for {
			run(t, "nft", "add table ip gantry; delete table ip gantry")
			select {
			case <-changed:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ready
}
