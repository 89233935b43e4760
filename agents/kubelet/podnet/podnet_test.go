package podnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

var (
	podCIDR  = netip.MustParsePrefix("10.244.1.0/24")
	podCIDR6 = netip.MustParsePrefix("fd00:10:244:1::/64")
	podCIDRs = []netip.Prefix{podCIDR}
)

func setup(t *testing.T, n *Network, uid string, pid int) netip.Addr {
	t.Helper()
	addrs, err := n.Setup(uid, pid, podCIDRs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return addrs[0]
}

func run(t *testing.T, pid int, args ...string) string {
	t.Helper()
	args = append([]string{"-t", strconv.Itoa(pid), "-n"}, args...)
	out, err := exec.Command("nsenter", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func clean(t *testing.T) {
	t.Cleanup(func() {
		if err := Clean(); err != nil {
			t.Error(err)
		}
		if links, _ := netlink.LinkList(); len(links) != 1 {
			t.Errorf("Clean left links: %v", links)
		}
	})
}

func TestSetup(t *testing.T) {
	clean(t)
	var n Network
	pid := netnstest.Pod(t)
	if _, err := Addresses("uid-1", pid); !errors.Is(err, ErrNoAddress) {
		t.Fatalf("Addresses before Setup: %v, want ErrNoAddress", err)
	}
	a := setup(t, &n, "uid-1", pid)
	if a.String() != "10.244.1.2" {
		t.Errorf("first address is %s, want 10.244.1.2", a)
	}
	if again := setup(t, &n, "uid-1", pid); again != a {
		t.Errorf("second Setup gave %s, want %s", again, a)
	}
	if after := setup(t, new(Network), "uid-1", pid); after != a {
		t.Errorf("Setup after a restart gave %s, want %s", after, a)
	}
	if read, err := Addresses("uid-1", pid); !slices.Equal(read, []netip.Addr{a}) || err != nil {
		t.Errorf("Addresses: %v, %v", read, err)
	}
	links, err := List()
	want := []Link{{Name: LinkName("uid-1"), PodUID: "uid-1", Addresses: []netip.Addr{a}}}
	for i := range links {
		links[i].index = 0
	}
	if diff := cmp.Diff(want, links, cmp.AllowUnexported(Link{}), cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); diff != "" || err != nil {
		t.Errorf("List: %v %s", err, diff)
	}
	routes := run(t, pid, "ip", "-o", "route")
	if want := "default via 10.244.1.1 dev eth0 src 10.244.1.2 \n10.244.1.1 dev eth0 scope link src 10.244.1.2"; routes != want {
		t.Errorf("routes inside:\n%s\nwant:\n%s", routes, want)
	}
	if lo := run(t, pid, "ip", "-o", "addr", "show", "lo"); !strings.Contains(lo, "127.0.0.1/8") {
		t.Errorf("lo inside: %s", lo)
	}
	if got := run(t, pid, "ip", "-o", "-6", "addr", "show", "eth0"); got != "" {
		t.Errorf("IPv6 addresses inside: %s", got)
	}
}

// A pod in a cluster of both families has an address of each, usable at once, in a sandbox where Docker has disabled IPv6.
func TestBothFamilies(t *testing.T) {
	clean(t)
	var n Network
	both := []netip.Prefix{podCIDR, podCIDR6}
	pids := []int{netnstest.Pod(t), netnstest.Pod(t)}
	var addrs []netip.Addr
	for i, pid := range pids {
		run(t, pid, "sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
		uid := fmt.Sprint("uid-", i)
		reserved, err := n.Reserve(uid, both, nil)
		if err != nil {
			t.Fatal(err)
		}
		addrs, err = n.Setup(uid, pid, both, nil)
		if err != nil || !slices.Equal(addrs, reserved) {
			t.Fatalf("Setup: %v, %v, want the reserved %v", addrs, err, reserved)
		}
		netnstest.Serve(t, pid, 80, uid)
		for _, at := range []netip.Addr{addrs[0], addrs[1]} {
			for _, from := range []int{os.Getpid(), pids[0], pid} {
				if who, _, err := netnstest.Request(t, from, "tcp", netip.AddrPortFrom(at, 80).String()); who != uid {
					t.Errorf("%s: %q answered: %v", at, who, err)
				}
			}
		}
	}
	if got := fmt.Sprint(addrs); got != "[10.244.1.3 fd00:10:244:1::3]" {
		t.Errorf("addresses %s", got)
	}
	if routes := run(t, pids[1], "ip", "-6", "route", "show", "default"); !strings.Contains(routes, "default via fd00:10:244:1::1 dev eth0 src fd00:10:244:1::3") {
		t.Errorf("routes inside:\n%s", routes)
	}
	if ra := run(t, pids[1], "sysctl", "-n", "net.ipv6.conf.eth0.accept_ra"); ra != "0" {
		t.Errorf("accept_ra is %s", ra)
	}
	if read, err := Addresses("uid-1", pids[1]); !slices.Equal(read, addrs) || err != nil {
		t.Errorf("Addresses: %v, %v, want %v", read, err, addrs)
	}
	if again, err := new(Network).Setup("uid-1", pids[1], both, nil); !slices.Equal(again, addrs) || err != nil {
		t.Errorf("Setup after a restart: %v, %v, want %v", again, err, addrs)
	}
	if err := n.Teardown("uid-0"); err != nil {
		t.Fatal(err)
	}
	if third, err := n.Reserve("uid-2", both, nil); fmt.Sprint(third) != "[10.244.1.4 fd00:10:244:1::4]" || err != nil {
		t.Errorf("the next pod gets %v, %v", third, err)
	}
	// A node that has IPv6 alone.
	six := netnstest.Pod(t)
	only, err := n.Setup("uid-6", six, both[1:], nil)
	if fmt.Sprint(only) != "[fd00:10:244:1::5]" || err != nil {
		t.Errorf("IPv6 alone: %v, %v", only, err)
	}
	if got := run(t, six, "ip", "-4", "-o", "addr", "show", "eth0"); got != "" {
		t.Errorf("IPv4 addresses inside: %s", got)
	}
}

func TestPodsReachEachOtherAndTheHost(t *testing.T) {
	clean(t)
	var n Network
	p1, p2 := netnstest.Pod(t), netnstest.Pod(t)
	a1, a2 := setup(t, &n, "uid-1", p1), setup(t, &n, "uid-2", p2)
	gateway := bridge.Gateway(podCIDR)
	host := os.Getpid()
	for _, tt := range []struct {
		name     string
		from, to int
		addr     netip.Addr
	}{{"pod to pod", p1, p2, a2}, {"back", p2, p1, a1}, {"pod to host", p1, host, gateway}, {"host to pod", host, p1, a1}, {"itself", p1, p1, a1}} {
		l := listen(t, tt.to)
		netnstest.In(t, tt.from, func() {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(tt.addr.String(), l), time.Second)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				return
			}
			_ = c.Close()
		})
	}
}

func listen(t *testing.T, pid int) (port string) {
	t.Helper()
	netnstest.In(t, pid, func() {
		l, err := net.Listen("tcp4", "0.0.0.0:0")
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = l.Close() })
		_, port, _ = net.SplitHostPort(l.Addr().String())
	})
	return port
}

func TestHalfMadeSandboxIsMadeAgain(t *testing.T) {
	clean(t)
	var n Network
	pid := netnstest.Pod(t)
	a := setup(t, &n, "uid-1", pid)
	link, err := netlink.LinkByName(LinkName("uid-1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetAlias(link, " "); err != nil { // as if Setup had died before its last step
		t.Fatal(err)
	}
	b := setup(t, &n, "uid-1", pid)
	if read, err := Addresses("uid-1", pid); !slices.Equal(read, []netip.Addr{b}) || err != nil {
		t.Errorf("Addresses: %v, %v; want %s (was %s)", read, err, b, a)
	}
	if links, _ := List(); len(links) != 1 {
		t.Errorf("%d links, want 1", len(links))
	}
}

func TestPodsOutliveTheBridge(t *testing.T) {
	clean(t)
	var n Network
	pid := netnstest.Pod(t)
	a := setup(t, &n, "uid-1", pid)
	if err := bridge.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := EnsureBridge(podCIDRs); err != nil {
		t.Fatal(err)
	}
	netnstest.Serve(t, pid, 80, "pod")
	if who, _, err := netnstest.Request(t, os.Getpid(), "tcp", a.String()+":80"); who != "pod" {
		t.Errorf("%q answered: %v", who, err)
	}
}

func TestTeardown(t *testing.T) {
	clean(t)
	var n Network
	pid := netnstest.Pod(t)
	setup(t, &n, "uid-1", pid)
	for range 2 { // the second finds nothing, which is no fault
		if err := Teardown("uid-1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Addresses("uid-1", pid); !errors.Is(err, ErrNoAddress) {
		t.Errorf("Addresses after Teardown: %v", err)
	}
	if links, err := List(); len(links) != 0 || err != nil {
		t.Errorf("List: %v, %v", links, err)
	}
}

func TestAddressesOfManyPodsDiffer(t *testing.T) {
	clean(t)
	var n Network
	var wg sync.WaitGroup
	got := make([]netip.Addr, 20)
	for i := range got {
		pid := netnstest.Pod(t)
		wg.Go(func() {
			addrs, err := n.Setup(fmt.Sprintf("uid-%d", i), pid, podCIDRs, nil)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = addrs[0]
		})
	}
	wg.Wait()
	seen := map[netip.Addr]bool{}
	for _, a := range got {
		if seen[a] || !podCIDR.Contains(a) {
			t.Errorf("address %s is given out twice or not of %s", a, podCIDR)
		}
		seen[a] = true
	}
}

// The address reserved before a sandbox runs is the one it gets, and no other pod gets it meanwhile.
func TestReservedAddressIsThePods(t *testing.T) {
	clean(t)
	var n Network
	reserve := func(n *Network, uid string) netip.Addr {
		t.Helper()
		addrs, err := n.Reserve(uid, podCIDRs, nil)
		if err != nil {
			t.Fatal(err)
		}
		return addrs[0]
	}
	first := reserve(&n, "uid-1")
	if again := reserve(&n, "uid-1"); again != first {
		t.Errorf("the second promise is %s, want %s", again, first)
	}
	if other := setup(t, &n, "uid-2", netnstest.Pod(t)); other == first {
		t.Errorf("the promised address %s was given to another pod", other)
	}
	pid := netnstest.Pod(t)
	if got := setup(t, &n, "uid-1", pid); got != first {
		t.Errorf("Setup gave %s, want the promised %s", got, first)
	}
	for name, n := range map[string]*Network{"this process": &n, "the next": new(Network)} {
		if again := reserve(n, "uid-1"); again != first {
			t.Errorf("%s promises %s to a pod whose link has %s", name, again, first)
		}
	}
	if len(n.reserved) > 0 {
		t.Errorf("promises are kept beside their links: %v", n.reserved)
	}
	reserve(&n, "uid-3")
	for _, uid := range []string{"uid-1", "uid-3"} {
		if err := n.Teardown(uid); err != nil {
			t.Fatal(err)
		}
	}
	if len(n.reserved) > 0 {
		t.Errorf("promises outlive their pods: %v", n.reserved)
	}
}

func TestSetupRefusesTheHostsNamespace(t *testing.T) {
	clean(t)
	var n Network
	if _, err := n.Setup("uid-1", os.Getpid(), podCIDRs, nil); err == nil {
		t.Error("Setup of the host's own namespace succeeded")
	}
}

func TestEnsureBridge(t *testing.T) {
	clean(t)
	for _, cidr := range []string{"10.244.3.0/24", "10.244.3.0/24", "10.244.9.0/25"} { // made, kept, changed
		p := netip.MustParsePrefix(cidr)
		if err := EnsureBridge([]netip.Prefix{p}); err != nil {
			t.Fatal(err)
		}
		i, err := net.InterfaceByName(bridge.Name)
		if err != nil {
			t.Fatal(err)
		}
		addrs, err := i.Addrs()
		want := netip.PrefixFrom(bridge.Gateway(p), p.Bits()).String()
		if err != nil || len(addrs) != 1 || addrs[0].String() != want || i.Flags&net.FlagUp == 0 {
			t.Errorf("%s: addresses %v, flags %v, %v; want %s, up", cidr, addrs, i.Flags, err, want)
		}
	}
	for _, bad := range []string{"fd00::/126", "fe80::/64", "10.0.0.0/30", "0.0.0.0/0"} {
		if err := EnsureBridge([]netip.Prefix{netip.MustParsePrefix(bad)}); err == nil {
			t.Errorf("%s was taken for a podCIDR", bad)
		}
	}
}

func TestNext(t *testing.T) {
	small := netip.MustParsePrefix("10.0.0.0/29") // .1 is the gateway, .7 broadcast: pods have .2 to .6
	tests := []struct {
		name, after string
		taken       string
		want        string
	}{
		{"first", "", "", "10.0.0.2"},
		{"behind the last", "10.0.0.3", "", "10.0.0.4"},
		{"skips taken", "10.0.0.3", "10.0.0.4", "10.0.0.5"},
		{"goes round", "10.0.0.6", "", "10.0.0.2"},
		{"goes round to the only one free", "10.0.0.4", "10.0.0.2 10.0.0.4 10.0.0.5 10.0.0.6", "10.0.0.3"},
		{"last one itself, if free", "10.0.0.4", "10.0.0.2 10.0.0.3 10.0.0.5 10.0.0.6", "10.0.0.4"},
		{"of another range", "10.1.0.9", "", "10.0.0.2"},
		{"full", "10.0.0.4", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var after netip.Addr
			if tt.after != "" {
				after = netip.MustParseAddr(tt.after)
			}
			got, err := next(small, after, func(a netip.Addr) bool { return strings.Contains(" "+tt.taken+" ", " "+a.String()+" ") })
			switch {
			case tt.want == "" && !errors.Is(err, ErrFull):
				t.Errorf("got %v, %v; want ErrFull", got, err)
			case tt.want != "" && got.String() != tt.want:
				t.Errorf("got %v, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func BenchmarkSetup(b *testing.B) {
	var n Network
	pid := netnstest.Pod(b)
	for b.Loop() {
		if _, err := n.Setup("uid", pid, podCIDRs, nil); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := Teardown("uid"); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	_ = Clean()
}
