package announce

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gantry/agents/internal/bridge"
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
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	must(t, err)
	for _, a := range list {
		if !a.IP.IsLinkLocalUnicast() {
			out = append(out, a.IPNet.String())
		}
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

// lan connects network namespaces by a bridge in another one: 192.0.2.1/24, 192.0.2.2/24, ... and 2001:db8::1/64, ... are their addresses.
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
			for _, p := range []string{fmt.Sprintf("192.0.2.%d/24", i+1), fmt.Sprintf("2001:db8::%d/64", i+1), fmt.Sprintf("fe80::%d/64", i+1)} {
				must(t, netlink.AddrAdd(eth0, bridge.Address(netip.MustParsePrefix(p))))
			}
			must(t, netlink.LinkSetUp(eth0))
			netnstest.SetLoopbackUp(t)
		})
	}
}

// start runs Run in a namespace until the returned function is called, and waits until the address is there.
func start(t *testing.T, pid int, changed chan struct{}, address string) (end func()) {
	t.Helper()
	end = startDuty(t, pid, changed, Duty{Address: netip.MustParseAddr(address)})
	untilAddress(t, pid, address)
	return end
}

func startDuty(t *testing.T, pid int, changed chan struct{}, d Duty) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go netnstest.In(t, pid, func() {
		done <- Run(ctx, func() []Duty { return []Duty{d} }, changed, slog.New(slog.DiscardHandler))
	})
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
		if a := netip.MustParseAddr(address); equal(have, []string{netip.PrefixFrom(a, a.BitLen()).String()}) {
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
	for _, address := range []string{"192.0.2.100", "2001:db8::100"} {
		t.Run(address, func(t *testing.T) { takeOver(t, address) })
	}
}

func takeOver(t *testing.T, address string) {
	client, first, second := netnstest.Pod(t), netnstest.Pod(t), netnstest.Pod(t)
	lan(t, client, first, second)
	netnstest.Serve(t, first, 80, "first")
	netnstest.Serve(t, second, 80, "second")
	reaches := func(want string) {
		t.Helper()
		untilReaches(t, client, address, want)
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

// untilReaches waits until a machine reaches the node of a name at an address.
func untilReaches(t *testing.T, client int, address, want string) {
	t.Helper()
	var name string
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if name, _, err = netnstest.Request(t, client, "tcp", net.JoinHostPort(address, "80")); name == want {
			return
		}
	}
	t.Fatalf("%q answers, %v, want %s", name, err, want)
}

// When the owner of an address does not answer any more, the standby takes over, whatever the Node's status says.
func TestDeathOfTheOwner(t *testing.T) {
	for address, ownerAt := range map[string]string{"192.0.2.100": "192.0.2.2", "2001:db8::100": "2001:db8::2"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			client, owner, standby := netnstest.Pod(t), netnstest.Pod(t), netnstest.Pod(t)
			lan(t, client, owner, standby)
			netnstest.Serve(t, owner, 80, "owner")
			netnstest.Serve(t, standby, 80, "standby")
			defer start(t, owner, nil, address)()
			duty := Duty{netip.MustParseAddr(address), []Peer{{"owner", netip.MustParseAddr(ownerAt)}}}
			end := startDuty(t, standby, nil, duty)
			untilReaches(t, client, address, "owner")
			untilAsked(t, owner, netip.MustParseAddr(address).Is6())
			var have []string
			if netnstest.In(t, standby, func() { have = onLink(t) }); have != nil {
				t.Errorf("the standby has %v while the owner lives", have)
			}
			netnstest.In(t, owner, func() {
				eth0, err := netlink.LinkByName("eth0")
				must(t, err)
				must(t, netlink.LinkSetDown(eth0))
			})
			died := time.Now()
			untilReaches(t, client, address, "standby")
			t.Logf("taken over in %v", time.Since(died))
			end()
			// A new process does not know that the owner has lived, and keeps the address.
			changed := make(chan struct{})
			defer startDuty(t, standby, changed, duty)()
			changed <- struct{}{} // it has set the addresses
			untilReaches(t, client, address, "standby")
			netnstest.In(t, standby, func() { have = onLink(t) })
			if len(have) != 1 {
				t.Errorf("a new process leaves %v", have)
			}
		})
	}
}

// untilAsked waits until a machine has got three echo requests: its answers to the first ones are known then.
func untilAsked(t *testing.T, pid int, ipv6 bool) {
	t.Helper()
	file, name := "/proc/thread-self/net/snmp", "InEchos"
	if ipv6 {
		file, name = "/proc/thread-self/net/snmp6", "Icmp6InEchos"
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		asked := 0
		netnstest.In(t, pid, func() {
			text, err := os.ReadFile(file)
			must(t, err)
			asked = counter(string(text), name)
		})
		if asked >= 3 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the owner is asked %d times", asked)
		}
	}
}

// counter returns a counter of snmp, where a line of names is followed by one of values, or of snmp6, where each has a line.
func counter(text, name string) int {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		fields := strings.Fields(line)
		at := slices.Index(fields, name)
		if at < 0 {
			continue
		}
		if at > 0 {
			fields, at = strings.Fields(lines[i+1]), at-1
		}
		n, _ := strconv.Atoi(fields[at+1])
		return n
	}
	return 0
}

// A node that has never answered is not taken for dead, and one that has died returns after it has answered for a while.
func TestPeerState(t *testing.T) {
	var p peerState
	count := func(n int, answered bool) (changes int) {
		for range n {
			if p.tick(answered) {
				changes++
			}
		}
		return changes
	}
	for _, step := range []struct {
		name     string
		ticks    int
		answered bool
		changes  int
		dead     bool
	}{
		{"it has never answered", 100, false, 0, false},
		{"it answers", 1, true, 0, false},
		{"some answers are lost", missesToDie - 1, false, 0, false},
		{"it answers again", 1, true, 0, false},
		{"it dies", missesToDie, false, 1, true},
		{"it boots", answersToReturn - 1, true, 0, true},
		{"one answer is lost", 1, false, 0, true},
		{"it is back", answersToReturn, true, 1, false},
	} {
		if changes := count(step.ticks, step.answered); changes != step.changes || p.dead != step.dead {
			t.Errorf("%s: %d changes, dead %v", step.name, changes, p.dead)
		}
	}
}

// A link that another program removed is made again.
func TestRunRepairs(t *testing.T) {
	pid, changed := netnstest.Pod(t), make(chan struct{}, 1)
	defer start(t, pid, changed, "192.0.2.100")()
	netnstest.In(t, pid, func() { must(t, Clean()) })
	changed <- struct{}{}
	untilAddress(t, pid, "192.0.2.100")
}
