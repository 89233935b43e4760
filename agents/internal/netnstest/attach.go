package netnstest

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gantry/agents/internal/bridge"
)

// Attach connects the network namespace of process pid to the bridge as a pod's: eth0 has addr as a /32, and the default route is
// by gateway. The bridge must exist.
func Attach(t testing.TB, pid int, addr netip.Addr, gateway netip.Addr) {
	t.Helper()
	br, err := netlink.LinkByName(bridge.Name)
	if err != nil {
		t.Fatal(err)
	}
	host := veth(t, pid)
	must(t, netlink.LinkSetMaster(host, br))
	must(t, netlink.LinkSetHairpin(host, true))
	In(t, pid, func() {
		eth0 := setLinkUp(t, "eth0", netip.PrefixFrom(addr, 32))
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: ipNet(netip.PrefixFrom(gateway, 32)), Scope: netlink.SCOPE_LINK}))
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: gateway.AsSlice()}))
	})
}

// AttachIPv6 gives a namespace that Attach has connected an IPv6 address too, as a /128, and the default route by gateway.
func AttachIPv6(t testing.TB, pid int, addr netip.Addr, gateway netip.Addr) {
	t.Helper()
	In(t, pid, func() {
		eth0 := setLinkUp(t, "eth0", netip.PrefixFrom(addr, 128))
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: ipNet(netip.PrefixFrom(gateway, 128)), Scope: netlink.SCOPE_LINK}))
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: gateway.AsSlice()}))
	})
}

// AddAddress gives both ends of ConnectOutside another address, with default routes by the other's where they have none of the family.
func AddAddress(t testing.TB, pid int, hostAddr, outsideAddr netip.Prefix) {
	t.Helper()
	host := setLinkUp(t, fmt.Sprintf("t%d", pid), hostAddr)
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: host.Attrs().Index, Gw: outsideAddr.Addr().AsSlice()}))
	In(t, pid, func() {
		eth0 := setLinkUp(t, "eth0", outsideAddr)
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: hostAddr.Addr().AsSlice()}))
	})
}

// ConnectOutside connects the network namespace of process pid to this one as a machine outside of the cluster: a veth pair with
// hostAddr in this namespace and outsideAddr in the other. The default route of each namespace is by the other's address.
func ConnectOutside(t testing.TB, pid int, hostAddr, outsideAddr netip.Prefix) {
	t.Helper()
	host := veth(t, pid)
	must(t, netlink.AddrAdd(host, bridge.Address(hostAddr)))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: host.Attrs().Index, Gw: outsideAddr.Addr().AsSlice()}))
	In(t, pid, func() {
		eth0 := setLinkUp(t, "eth0", outsideAddr)
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: hostAddr.Addr().AsSlice()}))
	})
}

// veth makes a pair, returns this namespace's end, and leaves the other as eth0 in the namespace of pid.
func veth(t testing.TB, pid int) netlink.Link {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("t%d", pid)
	link := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid)}
	must(t, netlink.LinkAdd(link))
	must(t, netlink.LinkSetUp(link))
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	return link
}

func setLinkUp(t testing.TB, name string, addr netip.Prefix) netlink.Link {
	t.Helper()
	if lo, err := netlink.LinkByName("lo"); err == nil {
		must(t, netlink.LinkSetUp(lo))
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	must(t, netlink.AddrAdd(link, bridge.Address(addr)))
	must(t, netlink.LinkSetUp(link))
	return link
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Serve answers TCP connections and UDP packets to port in the namespace of pid with "<name> <client's address>" until the test
// ends.
func Serve(t testing.TB, pid int, port uint16, name string) {
	t.Helper()
	In(t, pid, func() {
		at := fmt.Sprintf(":%d", port) // of both families
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Error(err)
			return
		}
		u, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = l.Close(); _ = u.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = fmt.Fprintf(c, "%s %s\n", name, hostOf(c.RemoteAddr()))
				_ = c.Close()
			}
		}()
		go func() {
			b := make([]byte, 1500)
			for {
				_, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = u.WriteTo([]byte(fmt.Sprintf("%s %s\n", name, hostOf(from))), from)
			}
		}()
	})
}

func hostOf(a net.Addr) string {
	h, _, _ := net.SplitHostPort(a.String())
	return h
}

// Dial opens a connection ("tcp", "udp") to addr in the namespace of pid.
func Dial(t testing.TB, pid int, network, addr string) (c net.Conn, err error) {
	t.Helper()
	In(t, pid, func() { c, err = net.DialTimeout(network, addr, 2*time.Second) })
	return c, err
}

// Request dials addr and returns what Serve answers: its name and the client's address.
func Request(t testing.TB, pid int, network, addr string) (name, client string, err error) {
	t.Helper()
	c, err := Dial(t, pid, network, addr)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	return ReadAnswer(c)
}

// ReadAnswer reads the answer of Serve from c; on UDP it sends a packet first.
func ReadAnswer(c net.Conn) (name, client string, err error) {
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, ok := c.(*net.UDPConn); ok {
		if _, err := c.Write([]byte("?")); err != nil {
			return "", "", err
		}
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "", "", err
	}
	_, err = fmt.Sscan(line, &name, &client)
	return name, client, err
}

// SetLoopbackUp sets lo up in the current namespace; call it within In.
func SetLoopbackUp(t testing.TB) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Error(err)
		return
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Error(err)
	}
}
