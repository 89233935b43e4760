package network

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/bridge"
	"gantry/agents/internal/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

var (
	clusterCIDR  = netip.MustParsePrefix("10.244.0.0/16")
	clusterCIDRs = []netip.Prefix{clusterCIDR, netip.MustParsePrefix("fd00:10:244::/56")}
	ownCIDR      = netip.MustParsePrefix("10.244.1.0/24")
)

func run(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return strings.TrimSpace(string(out))
}

func clean(t *testing.T) {
	t.Cleanup(func() {
		for range 2 { // the second finds nothing to remove
			if err := Clean(); err != nil {
				t.Error(err)
			}
		}
		if out := run(t, "nft list tables | grep gantry; ip route show proto 71; ip -6 route show proto 71; iptables -S 2>/dev/null | grep gantry; ip -o link show "+bridge.Name+" 2>/dev/null; true"); out != "" {
			t.Errorf("Clean left:\n%s", out)
		}
		run(t, "nft flush ruleset")
	})
}

func mustBe(t *testing.T, what string, want string, command string) {
	t.Helper()
	if diff := cmp.Diff(want, run(t, command)); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

// node has podCIDRs and addresses with blanks between them.
func node(name, cidrs, ips string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDRs: strings.Fields(cidrs)}}
	if len(n.Spec.PodCIDRs) > 0 {
		n.Spec.PodCIDR = n.Spec.PodCIDRs[0]
	}
	for _, ip := range strings.Fields(ips) {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: name}, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	return n
}

func nodes(ns ...*corev1.Node) map[string]*corev1.Node {
	out := map[string]*corev1.Node{}
	for i, n := range ns {
		n.CreationTimestamp = metav1.Unix(int64(1000+i), 0) // the first is the oldest
		out[n.Name] = n
	}
	return out
}

func TestMakePlan(t *testing.T) {
	tests := []struct {
		name   string
		nodes  map[string]*corev1.Node
		routes string
		faults string
		err    string
	}{
		{"alone", nodes(node("n1", "10.244.1.0/24", "192.0.2.1")), "", "", ""},
		{"no range yet", nodes(node("n1", "", "192.0.2.1")), "", "", "the node has no podCIDR yet"},
		{"no node yet", nodes(), "", "", "the node has no podCIDR yet"},
		{"own range does not parse", nodes(node("n1", "10.244.1.0", "192.0.2.1")), "", "", `node n1: netip.ParsePrefix("10.244.1.0"): no '/'`},
		{"own range is not the cluster's", nodes(node("n1", "10.0.0.0/24", "192.0.2.1")), "", "", "node n1: podCIDR 10.0.0.0/24 is not in the cluster's 10.244.0.0/16"},
		{"wider than the cluster's", nodes(node("n1", "10.0.0.0/8", "192.0.2.1")), "", "", "node n1: podCIDR 10.0.0.0/8 is not in the cluster's 10.244.0.0/16"},
		{"others", nodes(node("n1", "10.244.1.0/24", "192.0.2.1"), node("n2", "10.244.2.0/24", "192.0.2.2"), node("n3", "10.244.3.0/24", ""), node("n4", "", "192.0.2.4")),
			"10.244.2.0/24 192.0.2.2", "", ""},
		{"two with one range: the older", nodes(node("n1", "10.244.1.0/24", "192.0.2.1"), node("n3", "10.244.2.0/24", "192.0.2.3"), node("n2", "10.244.2.0/25", "192.0.2.2")),
			"10.244.2.0/24 192.0.2.3", "node n2: podCIDR 10.244.2.0/25 is in use by node n3", ""},
		{"another node with this range", nodes(node("n0", "10.244.1.0/24", "192.0.2.9"), node("n1", "10.244.1.0/24", "192.0.2.1")),
			"", "node n0: podCIDR 10.244.1.0/24 is in use by node n1", ""},
		{"outside of the cluster", nodes(node("n1", "10.244.1.0/24", "192.0.2.1"), node("n2", "0.0.0.0/0", "192.0.2.2")),
			"", `node n2: podCIDR "0.0.0.0/0": want an IPv4 range between /8 and /29 or an IPv6 range between /16 and /125`, ""},
		{"our address", nodes(node("n1", "10.244.1.0/24", "192.0.2.1"), node("n2", "10.244.2.0/24", "192.0.2.1")),
			"", "node n2: its address 192.0.2.1 is this node's", ""},
		{"both families", nodes(node("n1", "10.244.1.0/24 fd00:10:244:1::/64", "192.0.2.1 2001:db8::1"), node("n2", "10.244.2.0/24 fd00:10:244:2::/64", "192.0.2.2 2001:db8::2")),
			"10.244.2.0/24 192.0.2.2\nfd00:10:244:2::/64 2001:db8::2", "", ""},
		{"IPv6 alone", nodes(node("n1", "fd00:10:244:1::/64", "2001:db8::1"), node("n2", "fd00:10:244:2::/64", "192.0.2.2 fe80::2 2001:db8::2")),
			"fd00:10:244:2::/64 2001:db8::2", "", ""},
		{"one has no IPv6 address", nodes(node("n1", "10.244.1.0/24 fd00:10:244:1::/64", "192.0.2.1 2001:db8::1"), node("n2", "10.244.2.0/24 fd00:10:244:2::/64", "192.0.2.2")),
			"10.244.2.0/24 192.0.2.2", "", ""},
		{"a part of both ranges is invalid", nodes(node("n1", "10.244.1.0/24 fd00:9::/64", "192.0.2.1"), node("n2", "10.244.2.0/24 10.244.3.0/24", "192.0.2.2"), node("n3", "10.244.4.0/24 fd00:10:244:1::/126", "192.0.2.3")),
			"10.244.2.0/24 192.0.2.2\n10.244.4.0/24 192.0.2.3", "node n1: podCIDR fd00:9::/64 is not in the cluster's fd00:10:244::/56\n" +
				"node n2: podCIDR 10.244.3.0/24 is the second one of its family\n" +
				`node n3: podCIDR "fd00:10:244:1::/126": want an IPv4 range between /8 and /29 or an IPv6 range between /16 and /125`, ""},
		{"loopback address", nodes(node("n1", "10.244.1.0/24", "192.0.2.1"), node("n2", "10.244.2.0/24", "127.0.0.1")), "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := makePlan(tt.nodes, "n1", clusterCIDRs)
			if (err == nil) != (tt.err == "") || (err != nil && err.Error() != tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			var routes, faults []string
			for dst, gw := range p.routes {
				routes = append(routes, dst.String()+" "+gw.String())
			}
			for _, f := range p.faults {
				faults = append(faults, f.Error())
			}
			slices.Sort(routes)
			if got := strings.Join(routes, "\n"); got != tt.routes {
				t.Errorf("routes %q, want %q", got, tt.routes)
			}
			if got := strings.Join(faults, "\n"); got != tt.faults {
				t.Errorf("faults %q, want %q", got, tt.faults)
			}
		})
	}
}

func TestMasquerade(t *testing.T) {
	clean(t)
	for _, tt := range []struct {
		family         string
		cluster        netip.Prefix
		range1, range2 string
	}{{"ip", clusterCIDR, "10.244.1.0/24", "10.244.9.0/24"}, {"ip6", clusterCIDRs[1], "fd00:10:244:1::/64", "fd00:10:244:9::/64"}} {
		want := strings.NewReplacer("$ip", tt.family, "$range", tt.range1, "$cluster", tt.cluster.String()).Replace(`table $ip gantry-network {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		$ip saddr $range $ip daddr != $cluster masquerade fully-random comment "pods' packets that leave the cluster"
	}
}`)
		table := tt.family + " gantry-network"
		ensure := func(cidr string) {
			t.Helper()
			if err := ensureMasquerade(netip.MustParsePrefix(cidr), tt.cluster); err != nil {
				t.Fatal(err)
			}
		}
		ensure(tt.range1)
		mustBe(t, "made", want, "nft list table "+table)
		before := run(t, "nft -a list table "+table)
		ensure(tt.range1)
		mustBe(t, "left alone", before, "nft -a list table "+table)
		for _, damage := range []string{"flush ruleset", "flush table " + table, "add rule " + table + " postrouting drop"} {
			run(t, "nft "+damage)
			ensure(tt.range1)
			mustBe(t, damage, want, "nft list table "+table)
		}
		ensure(tt.range2)
		mustBe(t, "another range", strings.Replace(want, tt.range1, tt.range2, 1), "nft list table "+table)
	}
}

func TestForward(t *testing.T) {
	const acceptRules = "-A %s -s 10.244.0.0/16 -m comment --comment \"gantry: pods\" -j ACCEPT\n-A %s -d 10.244.0.0/16 -m comment --comment \"gantry: pods\" -j ACCEPT"
	tests := []struct{ name, setup, want string }{
		{"no firewall", "true", ""},
		{"nothing drops", "iptables -P FORWARD ACCEPT", ""},
		{"forward drops", "iptables -P FORWARD DROP; iptables -A FORWARD -j ACCEPT -i x", strings.ReplaceAll(acceptRules, "%s", "FORWARD") + "\n-A FORWARD -i x -j ACCEPT"},
		{"docker", "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; iptables -A DOCKER-USER -j RETURN",
			"-A FORWARD -j DOCKER-USER\n" + strings.ReplaceAll(acceptRules, "%s", "DOCKER-USER") + "\n-A DOCKER-USER -j RETURN"},
	}
	for _, program := range []string{"iptables", "iptables-legacy"} {
		for _, tt := range tests {
			t.Run(program+" "+tt.name, func(t *testing.T) {
				clean(t)
				t.Cleanup(func() { run(t, "iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F; iptables-legacy -X") })
				run(t, strings.ReplaceAll(tt.setup, "iptables ", program+" "))
				rules := program + " -S 2>/dev/null | grep '^-A'; true"
				for _, damage := range []string{"true", "true", program + " -D DOCKER-USER -j RETURN 2>/dev/null; " + program + " -A DOCKER-USER -j RETURN 2>/dev/null", program + " -D FORWARD 1 2>/dev/null"} {
					if strings.HasSuffix(damage, "FORWARD 1 2>/dev/null") && !strings.Contains(tt.want, "-A FORWARD -s") {
						continue
					}
					run(t, damage+"; true")
					if err := ensureForward(clusterCIDR); err != nil {
						t.Fatal(err)
					}
					got := strings.Split(run(t, rules), "\n")
					if program == "iptables-legacy" { // the two rules are in either order
						got = sortOurs(got)
					}
					if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
						t.Fatalf("after %q:\n%s", damage, diff)
					}
				}
			})
		}
	}
}

// sortOurs puts the rule with -s before the one with -d.
func sortOurs(lines []string) []string {
	for i := 1; i < len(lines); i++ {
		if strings.Contains(lines[i-1], " -d ") && strings.Contains(lines[i], " -s ") {
			lines[i-1], lines[i] = lines[i], lines[i-1]
		}
	}
	return lines
}

func TestForwardMovesToDockersChain(t *testing.T) { // Docker starts after the agent
	clean(t)
	run(t, "iptables -P FORWARD DROP")
	if err := ensureForward(clusterCIDR); err != nil {
		t.Fatal(err)
	}
	run(t, "iptables -N DOCKER-USER; iptables -I FORWARD -j DOCKER-USER; iptables -A DOCKER-USER -j RETURN")
	if err := ensureForward(clusterCIDR); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "rules", `-A FORWARD -j DOCKER-USER
-A DOCKER-USER -s 10.244.0.0/16 -m comment --comment "gantry: pods" -j ACCEPT
-A DOCKER-USER -d 10.244.0.0/16 -m comment --comment "gantry: pods" -j ACCEPT
-A DOCKER-USER -j RETURN`, "iptables -S 2>/dev/null | grep '^-A'")
}

func TestForwardOfIPv6(t *testing.T) {
	clean(t)
	run(t, "ip6tables -P FORWARD DROP; ip6tables -N DOCKER-USER; ip6tables -A FORWARD -j DOCKER-USER; ip6tables -A DOCKER-USER -j RETURN")
	for range 2 {
		if err := ensureForward(clusterCIDRs[1]); err != nil {
			t.Fatal(err)
		}
		mustBe(t, "rules", `-A FORWARD -j DOCKER-USER
-A DOCKER-USER -s fd00:10:244::/56 -m comment --comment "gantry: pods" -j ACCEPT
-A DOCKER-USER -d fd00:10:244::/56 -m comment --comment "gantry: pods" -j ACCEPT
-A DOCKER-USER -j RETURN`, "ip6tables -S 2>/dev/null | grep '^-A'")
	}
	if err := Clean(); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "cleaned", "-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -j RETURN", "ip6tables -S 2>/dev/null | grep '^-A'")
}

func TestRoutesOfIPv6(t *testing.T) {
	clean(t)
	peer := netnstest.Pod(t)
	netnstest.ConnectOutside(t, peer, netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::2/64"))
	want := map[netip.Prefix]netip.Addr{netip.MustParsePrefix("fd00:10:244:2::/64"): netip.MustParseAddr("2001:db8::2")}
	const list = "ip -6 route show proto 71 | sed 's/ dev .*//'"
	for _, damage := range []string{"true", "true", "ip -6 route del fd00:10:244:2::/64"} {
		run(t, damage)
		if err := ensureRoutes(want); err != nil {
			t.Fatal(err)
		}
		mustBe(t, damage, "fd00:10:244:2::/64 via 2001:db8::2", list)
	}
	if err := ensureRoutes(nil); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "removed", "", list)
}

func TestRoutes(t *testing.T) {
	clean(t)
	peer := netnstest.Pod(t)
	netnstest.ConnectOutside(t, peer, netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24"))
	run(t, "ip route add 10.99.0.0/16 via 192.0.2.2") // another program's
	want := map[netip.Prefix]netip.Addr{
		netip.MustParsePrefix("10.244.2.0/24"): netip.MustParseAddr("192.0.2.2"),
		netip.MustParsePrefix("10.244.3.0/24"): netip.MustParseAddr("192.0.2.3"),
	}
	ensure := func() {
		t.Helper()
		if err := ensureRoutes(want); err != nil {
			t.Fatal(err)
		}
	}
	const list = "ip route show proto 71 | sed 's/ dev .*//'"
	ensure()
	ensure()
	mustBe(t, "made", "10.244.2.0/24 via 192.0.2.2\n10.244.3.0/24 via 192.0.2.3", list)
	run(t, "ip route del 10.244.2.0/24")
	ensure()
	mustBe(t, "repaired", "10.244.2.0/24 via 192.0.2.2\n10.244.3.0/24 via 192.0.2.3", list)
	delete(want, netip.MustParsePrefix("10.244.3.0/24"))
	want[netip.MustParsePrefix("10.244.2.0/24")] = netip.MustParseAddr("192.0.2.4")
	ensure()
	mustBe(t, "changed", "10.244.2.0/24 via 192.0.2.4", list)
	want[netip.MustParsePrefix("10.244.5.0/24")] = netip.MustParseAddr("198.51.100.1") // on no network of this host
	run(t, "ip route del default")
	if err := ensureRoutes(want); err == nil || !strings.Contains(err.Error(), "10.244.5.0/24") {
		t.Errorf("an unreachable node: %v", err)
	}
	mustBe(t, "the rest stays", "10.244.2.0/24 via 192.0.2.4", list)
	if err := ensureRoutes(nil); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "another program's route", "10.99.0.0/16 via 192.0.2.2", "ip route show 10.99.0.0/16 | sed 's/ dev .*//'")
}

func TestPodsReachOutsideThroughDroppingFirewall(t *testing.T) {
	clean(t)
	run(t, "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; iptables -A DOCKER-USER -j RETURN")
	pod, other, outside := netnstest.Pod(t), netnstest.Pod(t), netnstest.Pod(t)
	netnstest.ConnectOutside(t, outside, netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24"))
	netnstest.AddAddress(t, outside, netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::2/64"))
	a := &agent{cfg: Config{NodeName: "n1", ClusterCIDRs: clusterCIDRs}, nodes: nodes(node("n1", ownCIDR.String()+" fd00:10:244:1::/64", "192.0.2.1 2001:db8::1"))}
	if err := a.sync(); err != nil {
		t.Fatal(err)
	}
	gateway6 := netip.MustParseAddr("fd00:10:244:1::1")
	netnstest.Attach(t, pod, netip.MustParseAddr("10.244.1.2"), bridge.Gateway(ownCIDR))
	netnstest.Attach(t, other, netip.MustParseAddr("10.244.1.3"), bridge.Gateway(ownCIDR))
	netnstest.AttachIPv6(t, pod, netip.MustParseAddr("fd00:10:244:1::2"), gateway6)
	netnstest.AttachIPv6(t, other, netip.MustParseAddr("fd00:10:244:1::3"), gateway6)
	netnstest.Serve(t, outside, 80, "outside")
	netnstest.Serve(t, other, 80, "other")
	for _, tt := range []struct{ addr, name, seen string }{
		{"192.0.2.2:80", "outside", "192.0.2.1"}, // masqueraded
		{"10.244.1.3:80", "other", "10.244.1.2"}, // not masqueraded
		{"[2001:db8::2]:80", "outside", "2001:db8::1"},
		{"[fd00:10:244:1::3]:80", "other", "fd00:10:244:1::2"},
	} {
		who, seen, err := netnstest.Request(t, pod, "tcp", tt.addr)
		if who != tt.name || seen != tt.seen {
			t.Errorf("%s: %q answered and saw %q (%v), want %q and %q", tt.addr, who, seen, err, tt.name, tt.seen)
		}
	}
}
