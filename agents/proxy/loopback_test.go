package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/netnstest"
)

// askAs is netnstest.Request in this namespace by a client that binds the address source, as `curl --interface` does.
func askAs(t *testing.T, source, network, addr string) (name, seen string, err error) {
	t.Helper()
	d := net.Dialer{Timeout: 2 * time.Second}
	if network == "tcp" {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))
	} else {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))
	}
	c, err := d.Dial(network, addr)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	return netnstest.ReadAnswer(c)
}

// TestLoopbackHostPort has the pods and the connections of conformance's "no conflict between pods with same hostPort
// but different hostIP and protocol".
func TestLoopbackHostPort(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	setPod(p, hostPortPod("a", addrA, hostPort(54323, corev1.ProtocolTCP, "127.0.0.1"), hostPort(54324, corev1.ProtocolUDP, "127.0.0.1")))
	setPod(p, hostPortPod("b", addrB, hostPort(54323, corev1.ProtocolTCP, "192.0.2.10")))
	setPod(p, hostPortPod("c", addrC, hostPort(54323, corev1.ProtocolUDP, "192.0.2.10")))
	p.must(t)
	for _, tt := range []struct{ network, source, addr, want string }{
		{"tcp", "192.0.2.10", "127.0.0.1:54323", "a"}, // the three that conformance makes
		{"tcp", "0.0.0.0", "192.0.2.10:54323", "b"},
		{"udp", "0.0.0.0", "192.0.2.10:54323", "c"},
		{"tcp", "0.0.0.0", "127.0.0.1:54323", "a"},
		{"tcp", "127.0.0.1", "127.0.0.1:54323", "a"},
		{"tcp", "10.244.1.1", "127.0.0.1:54323", "a"},
		{"udp", "0.0.0.0", "127.0.0.1:54324", "a"},
		{"udp", "192.0.2.10", "127.0.0.1:54324", "a"},
	} {
		t.Run(fmt.Sprintf("%s from %s to %s", tt.network, tt.source, tt.addr), func(t *testing.T) {
			for range 5 {
				if name, _, err := askAs(t, tt.source, tt.network, tt.addr); name != tt.want || err != nil {
					t.Fatalf("%q answered (%v), want %s", name, err, tt.want)
				}
			}
		})
	}
	t.Run("the other protocol is refused", func(t *testing.T) {
		refused(t, w.host, "127.0.0.1:54324")
		if _, _, err := netnstest.Request(t, w.host, "udp", "127.0.0.1:54323"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("over UDP: %v, want refused", err)
		}
	})
	t.Run("a pod that does not listen refuses", func(t *testing.T) {
		closed := corev1.ContainerPort{HostPort: 54325, ContainerPort: 8081, HostIP: "127.0.0.1"}
		closedUDP := closed
		closedUDP.Protocol = corev1.ProtocolUDP
		setPod(p, hostPortPod("closed", addrC, closed, closedUDP))
		p.must(t)
		refused(t, w.host, "127.0.0.1:54325")
		if _, _, err := netnstest.Request(t, w.host, "udp", "127.0.0.1:54325"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("over UDP: %v, want refused", err)
		}
	})
	t.Run("table", func(t *testing.T) {
		for _, want := range []string{
			"127.0.0.1 . tcp . 54323 : goto pick-1", "127.0.0.1 . tcp . 54323 . 0x00000000 : 10.244.1.2 . 8080",
			"127.0.0.1 . udp . 54324 : 192.0.2.10", "10.244.1.2 : 192.0.2.10",
		} {
			if got := listed(t); !strings.Contains(got, want) {
				t.Errorf("%q is missing in:\n%s", want, got)
			}
		}
	})
	for _, name := range []string{"a", "b", "c", "closed"} {
		delete(p.compiled, podOwnerPrefix+"default/"+name)
	}
	p.must(t)
	refused(t, w.host, "127.0.0.1:54323")
	if got := listed(t); strings.Contains(got, "elements") {
		t.Errorf("something is left:\n%s", got)
	}
	noLocalnet(t)
}

// noLocalnet fails where route_localnet is set.
func noLocalnet(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("/proc/sys/net/ipv4/conf/*/route_localnet")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || string(b) != "0\n" {
			t.Errorf("%s is %q, %v", f, b, err)
		}
	}
}

// TestLoopbackHostPortIsUnreachableFromOutside sends raw packets to the node's loopback address from a pod and from a machine
// outside: with the node's hardware address they need no route.
func TestLoopbackHostPortIsUnreachableFromOutside(t *testing.T) {
	w, p := newTestNetwork(t), newTestSyncer(t)
	setPod(p, hostPortPod("a", addrA, hostPort(18053, corev1.ProtocolUDP, "127.0.0.1"), hostPort(18080, corev1.ProtocolTCP, "127.0.0.1")))
	p.must(t)
	attackers := map[string]struct {
		pid          int
		source, link string
	}{"pod": {w.b, addrB, bridge.Name}, "outside": {w.outside, outsideIP, fmt.Sprintf("t%d", w.outside)}}
	for name, from := range attackers {
		t.Run(name, func(t *testing.T) {
			node, err := net.InterfaceByName(from.link)
			if err != nil {
				t.Fatal(err)
			}
			packet := udpPacket(netip.MustParseAddrPort(from.source+":1000"), netip.MustParseAddrPort("127.0.0.1:18053"))
			for range 20 {
				sendRaw(t, from.pid, node.HardwareAddr, packet)
			}
			_, _, _ = netnstest.Request(t, from.pid, "tcp", "192.0.2.10:1") // the packets before it have been processed
			flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range flows {
				if f.Forward.DstIP.IsLoopback() && f.Forward.DstPort == 18053 {
					t.Errorf("the packet became a flow: %v", f)
				}
			}
		})
	}
	if name, _, err := netnstest.Request(t, w.host, "udp", "127.0.0.1:18053"); name != "a" || err != nil {
		t.Errorf("this host: %q answered, %v", name, err)
	}
	noLocalnet(t)
}

// TestLoopbackLeavesOtherFlows has connections with the host port's number that are not to it: from a client whose source port
// has that number, and one that is older than the pod.
func TestLoopbackLeavesOtherFlows(t *testing.T) {
	_, p := newTestNetwork(t), newTestSyncer(t)
	p.must(t)
	echo := func(addr string) net.Listener {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
			}
		}()
		return l
	}
	dial := func(local, addr string) net.Conn {
		var d net.Dialer
		if local != "" {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local))
		}
		c, err := d.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	works := func(name string, c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := fmt.Fprintln(c, "hello"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
			t.Errorf("%s: read %q, %v", name, line, err)
		}
	}
	server := echo("127.0.0.1:0").Addr().String()
	old := dial("", echo("127.0.0.1:54323").Addr().String())
	works("before", old)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	own := netip.MustParseAddrPort(free.Addr().String())
	setPod(p, hostPortPod("a", addrA, hostPort(54323, corev1.ProtocolTCP, "127.0.0.1"), hostPort(int32(own.Port()), corev1.ProtocolTCP, "127.0.0.1")))
	p.must(t)
	works("a connection older than the pod", old)
	works("a client with the port's number", dial(own.String(), server))
	if name, _, err := netnstest.Request(t, os.Getpid(), "tcp", "127.0.0.1:54323"); name != "a" || err != nil {
		t.Errorf("a new connection: %q answered, %v", name, err)
	}
}

func TestLoopbackFollowsTheNodesAddress(t *testing.T) {
	p := newTestSyncer(t)
	pod := hostPortPod("a", addrA, hostPort(18080, corev1.ProtocolTCP, "127.0.0.1"), hostPort(18081, corev1.ProtocolTCP, "127.0.0.1"))
	n := *testNode
	for _, addr := range []string{"192.0.2.10", "192.0.2.11"} {
		n.addrs = []netip.Addr{netip.MustParseAddr(addr)}
		frontends, rejected := compilePod(pod, &n)
		p.compiled[podName(pod)] = &compiledObject{obj: pod, frontends: frontends, rejected: rejected}
		p.must(t)
		if got := run(t, "nft", "list", "map", "ip", TableName, "loopback-pods"); !strings.Contains(got, "elements = { 10.244.1.2 : "+addr+" }") {
			t.Errorf("with %s:\n%s", addr, got)
		}
	}
	n.addrs = nil
	if frontends, rejected := compilePod(pod, &n); len(frontends) != 0 || len(rejected) != 2 || rejected[0].reason != "this node has no address yet" {
		t.Errorf("without an address: %v, left out %v", frontends, rejected)
	}
}

// udpPacket is a UDP packet with its IPv4 header.
func udpPacket(from, to netip.AddrPort) []byte {
	text := []byte("?")
	length := uint16(28 + len(text))
	b := []byte{0x45, 0, byte(length >> 8), byte(length), 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[ipChecksum:], ^uint16(sum+sum>>16))
	for _, v := range []uint16{from.Port(), to.Port(), length - 20, 0} {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return append(b, text...)
}

// sendRaw sends a packet from the namespace of pid to a hardware address, whatever the routes say.
func sendRaw(t *testing.T, pid int, to net.HardwareAddr, packet []byte) {
	t.Helper()
	netnstest.In(t, pid, func() {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			t.Error(err)
			return
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		at := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff}), Ifindex: eth0.Index, Halen: 6}
		copy(at.Addr[:], to)
		if err := unix.Sendto(fd, packet, 0, at); err != nil {
			t.Error(err)
		}
	})
}
