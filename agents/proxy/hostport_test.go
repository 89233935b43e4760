package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/agents/internal/netnstest"
	"gantry/registry"
)

// hostPortPod is a running pod on n1 with host ports.
func hostPortPod(name, ip string, ports ...corev1.ContainerPort) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(1000, 0)},
		Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "main", Image: "x", Ports: ports}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip},
	}
}

func hostPort(p int32, proto corev1.Protocol, hostIP string) corev1.ContainerPort {
	return corev1.ContainerPort{HostPort: p, ContainerPort: 8080, Protocol: proto, HostIP: hostIP}
}

// setPod compiles a pod into p.
func setPod(p *syncer, pod *corev1.Pod) {
	frontends, rejected := compilePod(pod, testNode)
	p.compiled[podName(pod)] = &compiledObject{obj: pod, frontends: frontends, rejected: rejected}
}

func TestCompilePod(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	pod := func(change func(*corev1.Pod), ports ...corev1.ContainerPort) *corev1.Pod {
		p := hostPortPod("p", "10.244.1.2", ports...)
		if change != nil {
			change(p)
		}
		return p
	}
	tcp := hostPort(18080, corev1.ProtocolTCP, "")
	const served = "192.0.2.10:18080/tcp pick-1 10.244.1.2:8080 hairpin=10.244.1.2"
	at := func(ip string) []corev1.ContainerPort {
		return []corev1.ContainerPort{hostPort(18080, corev1.ProtocolTCP, ip)}
	}
	tests := []struct {
		name string
		in   *corev1.Pod
		want string
	}{
		{"tcp", pod(nil, tcp), served},
		{"tcp by default", pod(nil, hostPort(18080, "", "")), served},
		{"udp", pod(nil, hostPort(53, corev1.ProtocolUDP, "")), "192.0.2.10:53/udp pick-1 10.244.1.2:8080 hairpin=10.244.1.2"},
		{"sctp", pod(nil, hostPort(53, corev1.ProtocolSCTP, "")), "192.0.2.10:53/sctp pick-1 10.244.1.2:8080 hairpin=10.244.1.2"},
		{"no host port", pod(nil, hostPort(0, corev1.ProtocolTCP, "")), ""},
		{"unready", pod(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		}, tcp), served},
		{"terminating", pod(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }, tcp), served},
		{"a sidecar's", pod(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{RestartPolicy: &always, Ports: at("")}, {Ports: []corev1.ContainerPort{hostPort(1, "", "")}}}
		}), served},
		{"without an address", pod(func(p *corev1.Pod) { p.Status.PodIP = "" }, tcp), ""},
		{"succeeded", pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, tcp), ""},
		{"failed", pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, tcp), ""},
		{"host network", pod(func(p *corev1.Pod) { p.Spec.HostNetwork = true }, tcp), ""},
		{"another node's", pod(func(p *corev1.Pod) { p.Spec.NodeName = "n2" }, tcp), ""},
		{"address outside of the cluster CIDR", pod(func(p *corev1.Pod) { p.Status.PodIP = "198.51.100.1" }, tcp), ""},
		{"the bridge's address", pod(func(p *corev1.Pod) { p.Status.PodIP = "10.244.1.1" }, tcp), ""},
		{"invalid ports", pod(nil, hostPort(-1, "", ""), hostPort(70000, "", "")), ""},
		{"any host IP", pod(nil, at("0.0.0.0")...), served},
		{"the node's host IP", pod(nil, at("192.0.2.10")...), served},
		{"another of this host", pod(nil, at("192.0.2.11")...), "192.0.2.11:18080/tcp pick-1 10.244.1.2:8080 hairpin=10.244.1.2"},
		{"host IP of another host", pod(nil, at("198.51.100.7")...), "198.51.100.7:18080/tcp left out: its hostIP is not an address of this node"},
		{"loopback", pod(nil, at("127.0.0.1")...), "127.0.0.1:18080/tcp pick-1 10.244.1.2:8080 masq source=192.0.2.10"},
		{"loopback of IPv6", pod(nil, at("::1")...), "[::1]:18080/tcp left out: its hostIP is not an IPv4 address"},
		{"any of IPv6", pod(nil, at("::")...), "[::]:18080/tcp left out: its hostIP is not an IPv4 address"},
		{"rubbish", pod(nil, at("x")...), "invalid AddrPort/tcp left out: its hostIP is not an address"},
	}
	n := *testNode
	n.isLocal = func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.11") }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frontends, rejected := compilePod(tt.in, &n)
			var got []string
			for _, f := range frontends {
				got = append(got, f.text())
			}
			for _, c := range rejected {
				got = append(got, fmt.Sprintf("%s left out: %s", c.key, c.reason))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHostPortTable(t *testing.T) {
	p := newTestSyncer(t)
	pod := hostPortPod("p", addrA, hostPort(18080, corev1.ProtocolTCP, ""))
	setPod(p, pod)
	p.must(t)
	for _, want := range []string{
		"192.0.2.10 . tcp . 18080 : goto pick-1",
		"192.0.2.10 . tcp . 18080 . 0x00000000 : 10.244.1.2 . 8080",
		"elements = { 10.244.1.2 . 10.244.1.2 }",
	} {
		if got := listed(t); !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if got := run(t, "nft", "list", "set", "ip", TableName, "masquerades"); strings.Contains(got, "elements") {
		t.Errorf("clients are masqueraded:\n%s", got)
	}
	// A restart reads the table back and changes nothing.
	again := newSyncer([]*kernelTable{newKernelTable(clusterCIDR)}, slog.New(slog.DiscardHandler))
	setPod(again, pod)
	if n := again.must(t); n != 0 {
		t.Errorf("a restart changed %d elements", n)
	}
	delete(again.compiled, podName(pod))
	again.must(t)
	if got := listed(t); strings.Contains(got, "elements") {
		t.Errorf("something is left:\n%s", got)
	}
}

func TestHostPortConflict(t *testing.T) {
	var log bytes.Buffer
	p := newTestSyncer(t)
	p.log = slog.New(slog.NewTextHandler(&log, nil))
	setPod(p, hostPortPod("old", addrA, hostPort(30080, "", ""), hostPort(18080, "", "")))
	young := hostPortPod("young", addrB, hostPort(18080, "", "0.0.0.0"))
	young.CreationTimestamp = metav1.Unix(2000, 0)
	setPod(p, young)
	setService(p, with(service("web", "10.96.0.12", port("", 80, 30080)), func(s *corev1.Service) { s.CreationTimestamp = metav1.Unix(3000, 0) }))
	p.must(t)
	p.must(t)
	got := listed(t)
	for _, want := range []string{"192.0.2.10 . tcp . 30080 : goto refuse", "192.0.2.10 . tcp . 18080 . 0x00000000 : 10.244.1.2 . 8080"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	for _, want := range []string{"key=192.0.2.10:30080/tcp pod=default/old owner=default/web", `key=192.0.2.10:18080/tcp pod=default/young owner="pod default/old"`} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%q is logged %d times, want once:\n%s", want, n, &log)
		}
	}
	// The younger pod gets the port when the older is deleted.
	delete(p.compiled, "default/web")
	delete(p.compiled, "pod default/old")
	p.must(t)
	if got := listed(t); !strings.Contains(got, "192.0.2.10 . tcp . 18080 . 0x00000000 : 10.244.1.3 . 8080") || strings.Contains(got, "30080") {
		t.Errorf("after the conflict:\n%s", got)
	}
}

func TestHostPortTraffic(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	pod := hostPortPod("a", addrA, hostPort(18080, corev1.ProtocolTCP, ""), hostPort(18053, corev1.ProtocolUDP, ""))
	setPod(p, pod)
	p.must(t)
	for name, from := range map[string]struct {
		pid  int
		seen string // by the pod
	}{"host": {w.host, nodeIP.String()}, "pod": {w.b, addrB}, "itself": {w.a, "10.244.1.1"}, "outside": {w.outside, outsideIP}} {
		t.Run(name, func(t *testing.T) {
			for network, addr := range map[string]string{"tcp": "192.0.2.10:18080", "udp": "192.0.2.10:18053"} {
				if seen := answers(t, from.pid, network, addr, "a"); !seen[from.seen] {
					t.Errorf("by %s the pod saw %v, want %s", network, seen, from.seen)
				}
			}
			refused(t, from.pid, "192.0.2.10:18053") // the TCP host port is another
		})
	}
	delete(p.compiled, podName(pod))
	p.must(t)
	for _, from := range []int{w.host, w.b, w.outside} {
		refused(t, from, "192.0.2.10:18080")
	}
}

func TestHostPortStaleUDPFlowsAreDeleted(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	c, err := netnstest.Dial(t, w.outside, "udp", "192.0.2.10:18053") // one source port for all steps
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, step := range []struct{ addr, want string }{{"", ""}, {addrA, "a"}, {addrB, "b"}, {"", ""}, {addrA, "a"}} {
		delete(p.compiled, "pod default/p")
		if step.addr != "" {
			setPod(p, hostPortPod("p", step.addr, hostPort(18053, corev1.ProtocolUDP, "")))
		}
		p.must(t)
		got, _, err := netnstest.ReadAnswer(c)
		if got != step.want || (step.want == "") != errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("step %d: %q answered (%v), want %q", i, got, err, step.want)
		}
	}
}

// TestRunHostPorts follows a pod from creation to its end through the registry.
func TestRunHostPorts(t *testing.T) {
	c := newCluster(t)
	c.start()
	create(c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	create(c, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "default"}})
	create(c, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	setAddress(c)
	pod := hostPortPod("p", "", hostPort(18080, corev1.ProtocolTCP, ""))
	pod.ObjectMeta = metav1.ObjectMeta{Namespace: "default", Name: "p"}
	create(c, pod)
	status := func(change func(*corev1.PodStatus)) {
		t.Helper()
		if _, err := registry.For[*corev1.Pod](c.r).ModifyStatus(t.Context(), "default", "p", func(p *corev1.Pod) error { change(&p.Status); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	running := func(ip string) func(*corev1.PodStatus) {
		return func(s *corev1.PodStatus) {
			s.Phase, s.PodIP, s.PodIPs = corev1.PodRunning, ip, []corev1.PodIP{{IP: ip}}
		}
	}
	status(running("10.244.1.2"))
	c.eventually("192.0.2.10 . tcp . 18080 . 0x00000000 : 10.244.1.2 . 8080")
	status(running("10.244.1.3"))
	c.eventually("192.0.2.10 . tcp . 18080 . 0x00000000 : 10.244.1.3 . 8080")

	c.stop()
	c.start() // the table stays as it is until the tracker has synced
	create(c, service("web", "10.96.0.12", port("", 80, 0)))
	if got := c.eventually("10.96.0.12 . tcp . 80 : goto refuse"); !strings.Contains(got, "18080 . 0x00000000 : 10.244.1.3 . 8080") {
		t.Errorf("a restart removed the host port:\n%s", got)
	}
	status(func(s *corev1.PodStatus) { s.Phase = corev1.PodSucceeded })
	c.eventually("type ipv4_addr . inet_proto . inet_service : verdict\n\t}") // the map services is empty
}

func setAddress(c *cluster) {
	c.t.Helper()
	if _, err := registry.For[*corev1.Node](c.r).ModifyStatus(c.t.Context(), "", "n1", func(n *corev1.Node) error {
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.10"}}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
}
