package announce

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gantry/agents/internal/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func addrs(texts ...string) (out []netip.Addr) {
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// must is for use within In, whose goroutine may not call Fatal.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// onLink returns the addresses of the link; nil: there is no link.
func onLink(t *testing.T) (out []string) {
	t.Helper()
	link, err := netlink.LinkByName(LinkName)
	if err != nil {
		return nil
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	must(t, err)
	for _, a := range list {
		out = append(out, a.IPNet.String())
	}
	return out
}

func TestAddressesOfTheLink(t *testing.T) {
	netnstest.In(t, netnstest.Pod(t), func() { addressesOfTheLink(t) })
}

// addressesOfTheLink is the test inside a namespace of its own.
func addressesOfTheLink(t *testing.T) {
	for _, step := range []struct{ wanted, added, want []string }{
		{nil, nil, nil},
		{[]string{"192.0.2.100", "192.0.2.101"}, []string{"192.0.2.100", "192.0.2.101"}, []string{"192.0.2.100/32", "192.0.2.101/32"}},
		{[]string{"192.0.2.101", "192.0.2.102"}, []string{"192.0.2.102"}, []string{"192.0.2.101/32", "192.0.2.102/32"}},
		{[]string{"192.0.2.101", "192.0.2.102"}, nil, []string{"192.0.2.101/32", "192.0.2.102/32"}},
		{nil, nil, nil},
	} {
		added, err := set(addrs(step.wanted...))
		if err != nil || !equal(added, step.added) || !equal(onLink(t), step.want) {
			t.Errorf("wanting %v: added %v, have %v, %v", step.wanted, added, onLink(t), err)
		}
	}
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: LinkName}, PeerName: "peer"}))
	if _, err := set(addrs("192.0.2.100")); err == nil {
		t.Error("another link of the name is used")
	}
	must(t, Clean())
	if _, err := netlink.LinkByName(LinkName); err != nil {
		t.Error("another link of the name was removed")
	}
}

func equal[T any](got []T, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		var text string
		switch x := any(got[i]).(type) {
		case netip.Addr:
			text = x.String()
		case string:
			text = x
		}
		if text != want[i] {
			return false
		}
	}
	return true
}

// lan connects network namespaces by a bridge in another one: 192.0.2.1/24, 192.0.2.2/24, ... are their addresses.
func lan(t *testing.T, pids ...int) {
	t.Helper()
	netnstest.In(t, netnstest.Pod(t), func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "lan"
		br := &netlink.Bridge{LinkAttrs: attrs}
		must(t, netlink.LinkAdd(br))
		must(t, netlink.LinkSetUp(br))
		for i, pid := range pids {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "lan" + string(rune('0'+i))
			port := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid)}
			must(t, netlink.LinkAdd(port))
			must(t, netlink.LinkSetMaster(port, br))
			must(t, netlink.LinkSetUp(port))
		}
	})
	for i, pid := range pids {
		netnstest.In(t, pid, func() {
			eth0, err := netlink.LinkByName("eth0")
			must(t, err)
			must(t, netlink.AddrAdd(eth0, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, byte(i+1)), Mask: net.CIDRMask(24, 32)}}))
			must(t, netlink.LinkSetUp(eth0))
			netnstest.SetLoopbackUp(t)
		})
	}
}

// start runs Run in a namespace until the returned function is called, and waits until the address is there.
func start(t *testing.T, pid int, changed chan struct{}, address string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go netnstest.In(t, pid, func() {
		done <- Run(ctx, func() []netip.Addr { return addrs(address) }, changed, slog.New(slog.DiscardHandler))
	})
	untilAddress(t, pid, address)
	return func() {
		cancel()
		must(t, <-done)
	}
}

func untilAddress(t *testing.T, pid int, address string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		var have []string
		netnstest.In(t, pid, func() { have = onLink(t) })
		if equal(have, []string{address + "/32"}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("addresses %v, want %s", have, address)
		}
	}
}

// A machine of the network reaches the address at the node that has it, and at the next one as soon as that takes over, although the first,
// which is cut off from the store, still has it.
func TestTakeOver(t *testing.T) {
	client, first, second := netnstest.Pod(t), netnstest.Pod(t), netnstest.Pod(t)
	lan(t, client, first, second)
	netnstest.Serve(t, first, 80, "first")
	netnstest.Serve(t, second, 80, "second")
	const address = "192.0.2.100"
	reaches := func(want string) {
		t.Helper()
		var name string
		var err error
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
			if name, _, err = netnstest.Request(t, client, "tcp", address+":80"); name == want {
				return
			}
		}
		t.Fatalf("%q answers, %v, want %s", name, err, want)
	}
	start(t, first, nil, address)()
	reaches("first")
	end := start(t, second, nil, address)
	reaches("second")
	end()
	reaches("second") // the address stays when the agent ends
	netnstest.In(t, second, func() { must(t, Clean()) })
	// The client still has the second's hardware address; the first announces the address again when it adds it.
	netnstest.In(t, first, func() { must(t, Clean()) })
	defer start(t, first, nil, address)()
	reaches("first")
}

// A link that another program removed is made again.
func TestRunRepairs(t *testing.T) {
	pid, changed := netnstest.Pod(t), make(chan struct{}, 1)
	defer start(t, pid, changed, "192.0.2.100")()
	netnstest.In(t, pid, func() { must(t, Clean()) })
	changed <- struct{}{}
	untilAddress(t, pid, "192.0.2.100")
}
