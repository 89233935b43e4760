package proxy

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/netnstest"
)

// testNetwork is a node n1 with pods a, b and c on its bridge, and a machine outside of the cluster.
type testNetwork struct {
	host, outside int
	a, b, c       int
}

const (
	addrA, addrB, addrC = "10.244.1.2", "10.244.1.3", "10.244.1.4"
	outsideIP           = "192.0.2.20"
)

func newTestNetwork(t *testing.T) testNetwork {
	t.Helper()
	// The kernel limits the rate of ICMP per destination host. Redirects, which the bridge's host sends and pods ignore, would use it up,
	// and the port unreachable messages that the tests expect would be missing.
	for _, links := range []string{"all", "default"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+links+"/send_redirects", []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
	}
	podCIDR := netip.MustParsePrefix("10.244.1.0/24")
	if err := bridge.Ensure([]netip.Prefix{podCIDR}, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bridge.Remove() })
	w := testNetwork{host: os.Getpid(), outside: netnstest.Pod(t), a: netnstest.Pod(t), b: netnstest.Pod(t), c: netnstest.Pod(t)}
	netnstest.ConnectOutside(t, w.outside, netip.PrefixFrom(nodeIP, 24), netip.MustParsePrefix(outsideIP+"/24"))
	for name, at := range map[string]struct {
		pid  int
		addr string
	}{"a": {w.a, addrA}, "b": {w.b, addrB}, "c": {w.c, addrC}} {
		netnstest.Attach(t, at.pid, netip.MustParseAddr(at.addr), bridge.Gateway(podCIDR))
		netnstest.Serve(t, at.pid, 8080, name)
	}
	return w
}

// answers connects to addr until all of want have answered, at most 200 times, and returns the client addresses that they saw.
func answers(t *testing.T, from int, network, addr string, want ...string) map[string]bool {
	t.Helper()
	names, seen := map[string]bool{}, map[string]bool{}
	for range 200 {
		n, s, err := netnstest.Request(t, from, network, addr)
		if err != nil {
			t.Errorf("asking %s %s: %v", network, addr, err)
			return seen
		}
		names[n], seen[s] = true, true
		if len(names) == len(want) {
			break
		}
	}
	for _, n := range want {
		if !names[n] {
			t.Errorf("%s %s: %v answered, want %v", network, addr, names, want)
		}
	}
	if len(names) != len(want) {
		t.Errorf("%s %s: %v answered, want %v", network, addr, names, want)
	}
	return seen
}

func TestTraffic(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	all := []string{addrA + "@n1", addrB + "@n1", addrC + "@n1"}
	setService(p, service("web", "10.96.0.12", port("", 80, 30080)), slice("web", "", 8080, all...))
	setService(p, service("dns", "10.96.0.13", udp(port("", 53, 0))), udpSlice(slice("dns", "", 8080, addrA+"@n1", addrB+"@n1")))
	setService(p, service("self", "10.96.0.14", port("", 80, 0)), slice("self", "", 8080, addrA+"@n1"))
	p.must(t)
	t.Run("every endpoint answers", func(t *testing.T) {
		for _, from := range []int{w.host, w.a, w.outside} {
			answers(t, from, "tcp", "10.96.0.12:80", "a", "b", "c")
			answers(t, from, "udp", "10.96.0.13:53", "a", "b")
		}
	})
	t.Run("pods see each other's addresses", func(t *testing.T) {
		if seen := answers(t, w.b, "tcp", "10.96.0.14:80", "a"); !seen[addrB] {
			t.Errorf("a saw %v, want %s", seen, addrB)
		}
	})
	t.Run("a pod reaches itself", func(t *testing.T) {
		answers(t, w.a, "tcp", "10.96.0.14:80", "a")
	})
	t.Run("node port", func(t *testing.T) {
		if seen := answers(t, w.outside, "tcp", "192.0.2.10:30080", "a", "b", "c"); seen[outsideIP] {
			t.Errorf("pods saw %v: the way back may be another", seen)
		}
		answers(t, w.host, "tcp", "192.0.2.10:30080", "a", "b", "c")
		answers(t, w.b, "tcp", "192.0.2.10:30080", "a", "b", "c")
	})
	t.Run("other ports of a cluster IP are refused", func(t *testing.T) {
		refused(t, w.host, "10.96.0.12:81")
		refused(t, w.a, "10.96.0.12:81")
	})
}

func refused(t *testing.T, from int, addr string) {
	t.Helper()
	c, err := netnstest.Dial(t, from, "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialling %s: %v, want refused", addr, err)
	}
}

func TestServiceWithoutEndpoints(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	setService(p, service("web", "10.96.0.12", port("", 80, 30080)), slice("web", "", 8080, addrA+"@n1 unready"))
	setService(p, service("dns", "10.96.0.13", udp(port("", 53, 0))))
	p.must(t)
	for name, from := range map[string]int{"host": w.host, "pod": w.a, "outside": w.outside} {
		t.Run(name, func(t *testing.T) {
			refused(t, from, "10.96.0.12:80")
			refused(t, from, "192.0.2.10:30080")
			// On the host itself the write fails with EPERM.
			if _, _, err := netnstest.Request(t, from, "udp", "10.96.0.13:53"); !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.EPERM) {
				t.Errorf("asking over UDP: %v, want refused", err)
			}
		})
	}
	setService(p, service("web", "10.96.0.12", port("", 80, 30080)), slice("web", "", 8080, addrA+"@n1"))
	p.must(t)
	answers(t, w.host, "tcp", "10.96.0.12:80", "a")
}

func TestExternalTrafficPolicyLocal(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	svc := service("web", "10.96.0.12", port("", 80, 30080))
	svc.Spec.ExternalTrafficPolicy = "Local"
	setService(p, svc, slice("web", "", 8080, addrA+"@n1", addrB+"@n2")) // b is on this node in fact, so that it can answer
	p.must(t)
	if seen := answers(t, w.outside, "tcp", "192.0.2.10:30080", "a"); !seen[outsideIP] {
		t.Errorf("the pod saw %v, want the client's own address", seen)
	}
	answers(t, w.host, "tcp", "192.0.2.10:30080", "a", "b")
	answers(t, w.c, "tcp", "192.0.2.10:30080", "a", "b")
	answers(t, w.outside, "tcp", "10.96.0.12:80", "a", "b")
}

func TestStaleUDPFlowsAreDeleted(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	svc := service("dns", "10.96.0.13", udp(port("", 53, 0)))
	setService(p, svc, udpSlice(slice("dns", "", 8080, addrA+"@n1")))
	p.must(t)
	c, err := netnstest.Dial(t, w.c, "udp", "10.96.0.13:53") // one source port for all steps
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, step := range []struct{ endpoint, want string }{{addrA, "a"}, {addrB, "b"}, {"", ""}, {addrA, "a"}} {
		if step.endpoint == "" {
			setService(p, svc)
		} else {
			setService(p, svc, udpSlice(slice("dns", "", 8080, step.endpoint+"@n1")))
		}
		p.must(t)
		got, _, err := netnstest.ReadAnswer(c)
		if got != step.want || (step.want == "") != errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("step %d: %q answered (%v), want %q", i, got, err, step.want)
		}
	}
}

func TestNewConnectionsDuringChanges(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	svc := service("web", "10.96.0.12", port("", 80, 0))
	setService(p, svc, slice("web", "", 8080, addrA+"@n1", addrB+"@n1"))
	p.must(t)
	for i := range 50 { // a new connection gets an endpoint while elements change
		eps := []string{addrA + "@n1", addrB + "@n1", addrC + "@n1"}[:1+i%3]
		setService(p, svc, slice("web", "", 8080, eps...))
		done := make(chan error, 1)
		go func() { _, err := p.sync(); done <- err }()
		for range 5 {
			if _, _, err := netnstest.Request(t, w.host, "tcp", "10.96.0.12:80"); err != nil {
				t.Fatalf("change %d: %v", i, err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
