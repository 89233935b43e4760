package proxy

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gantry/agents/internal/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

var clusterCIDR = netip.MustParsePrefix("10.244.0.0/16")

// run runs a program and returns what it prints, without the blanks at line ends.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func listed(t *testing.T) string { return run(t, "nft", "list", "table", "ip", TableName) }

// newTestSyncer is a syncer without a table; the table is removed when the test ends.
func newTestSyncer(t *testing.T) *syncer {
	t.Helper()
	t.Cleanup(func() {
		if err := Clean(); err != nil {
			t.Error(err)
		}
	})
	return newSyncer([]*kernelTable{newKernelTable(clusterCIDR)}, slog.New(slog.DiscardHandler))
}

func (s *syncer) must(t *testing.T) int {
	t.Helper()
	n, err := s.sync()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const wantTable = `table ip gantry {
	map services {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.12 . tcp . 80 : goto pick-3 }
	}

	map slots {
		type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service
		elements = { 10.96.0.12 . tcp . 80 . 0x00000002 : 10.244.2.3 . 8080,
			     10.96.0.12 . tcp . 80 . 0x00000001 : 10.244.1.3 . 8080,
			     10.96.0.12 . tcp . 80 . 0x00000000 : 10.244.1.2 . 8080 }
	}

	map unserved {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.13 . udp . 53 : goto refuse,
			     10.96.0.14 . tcp . 80 : goto refuse,
			     198.51.100.7 . tcp . 80 : goto refuse }
	}

	map sticky {
		type ipv4_addr . inet_proto . inet_service : mark
	}

	map affinity {
		type ipv4_addr . mark : mark
		size 262144
		flags dynamic,timeout
	}

	set restricted {
		type ipv4_addr . inet_proto . inet_service
		elements = { 198.51.100.7 . tcp . 80 }
	}

	set source-ranges {
		type ipv4_addr . inet_proto . inet_service . ipv4_addr
		flags interval
		elements = { 198.51.100.7 . tcp . 80 . 192.0.2.0/24, 198.51.100.7 . tcp . 80 . 198.51.100.7, 198.51.100.7 . tcp . 80 . 203.0.113.7 }
	}

	set masquerades {
		type ipv4_addr . inet_proto . inet_service
		elements = { 10.96.0.12 . tcp . 80 }
	}

	set hairpins {
		type ipv4_addr . ipv4_addr
		elements = { 10.244.1.2 . 10.244.1.2 }
	}

	set cluster-ips {
		type ipv4_addr
		elements = { 10.96.0.12, 10.96.0.13, 10.96.0.14 }
	}

	map loopback {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr
	}

	map loopback-pods {
		type ipv4_addr : ipv4_addr
	}

	chain refuse {
		reject with tcp reset
		reject
	}

	chain ignore {
		drop
	}

	chain unserved-check {
		ip daddr . meta l4proto . th dport vmap @unserved
		ip daddr @cluster-ips goto refuse comment "no such port"
	}

	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 127.0.0.0/8 return comment "loopback is reachable from this host only"
		ip daddr . meta l4proto . th dport @restricted ip daddr . meta l4proto . th dport . ip saddr != @source-ranges drop comment "outside of loadBalancerSourceRanges"
		ip saddr != 10.244.0.0/16 ip daddr . meta l4proto . th dport @masquerades meta mark set meta mark | 0x00004000 comment "from outside of the cluster"
		ip daddr . meta l4proto . th dport vmap @services
	}

	chain output {
		type nat hook output priority -100; policy accept;
		ip daddr . meta l4proto . th dport @restricted ip daddr . meta l4proto . th dport . ip saddr != @source-ranges drop comment "outside of loadBalancerSourceRanges"
		ip saddr != 10.244.0.0/16 ip daddr . meta l4proto . th dport @masquerades meta mark set meta mark | 0x00004000 comment "from outside of the cluster"
		ip daddr . meta l4proto . th dport vmap @services
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ct status dnat ip saddr . ip daddr @hairpins masquerade fully-random comment "hairpin: a pod to itself"
		oifname != "lo" meta mark & 0x00004000 == 0x00004000 meta mark set meta mark & 0xffffbfff masquerade fully-random comment "from outside of the cluster"
	}

	chain filter-input {
		type filter hook input priority filter - 10; policy accept;
		ct state new jump unserved-check comment "services without an endpoint"
	}

	chain filter-forward {
		type filter hook forward priority filter - 10; policy accept;
		ct state new jump unserved-check comment "services without an endpoint"
	}

	chain filter-output {
		type filter hook output priority filter - 10; policy accept;
		ct state new jump unserved-check comment "services without an endpoint"
	}

	chain loopback-output {
		type filter hook output priority mangle; policy accept;
		ct state new ip saddr 127.0.0.1 ip saddr set ip daddr . meta l4proto . th dport map @loopback comment "to a pod"
		ct status dnat ct direction original ip saddr 127.0.0.1 ip saddr set ip daddr . meta l4proto . th dport map @loopback comment "to a pod"
	}

	chain loopback-prerouting {
		type filter hook prerouting priority dstnat + 10; policy accept;
		ip daddr 127.0.0.1 iifname != "lo" ct status dnat ct direction reply ip daddr set ip saddr map @loopback-pods meta mark set meta mark | 0x00004000 comment "a pod's reply"
	}

	chain loopback-input {
		type filter hook input priority 110; policy accept;
		ip saddr 127.0.0.0/8 iifname != "lo" meta mark & 0x00004000 == 0x00004000 meta mark set meta mark & 0xffffbfff ip daddr set 127.0.0.1 comment "a pod's reply"
	}

	chain pick-3 {
		dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @slots
	}
}`

// sorted returns s with the elements of every set sorted; the kernel lists them in the order of a hash table.
func sorted(s string) string {
	var out []string
	for part := range strings.SplitSeq(s, "elements = {") {
		head, tail, ok := strings.Cut(part, " }\n")
		if ok && len(out) > 0 {
			es := strings.Split(head, ",")
			for i := range es {
				es[i] = strings.TrimSpace(es[i])
			}
			part = " " + strings.Join(sortedStrings(es), ", ") + " }\n" + tail
		}
		out = append(out, part)
	}
	return strings.Join(out, "elements = {")
}

func TestTableListing(t *testing.T) {
	p := newTestSyncer(t)
	setService(p, service("web", "10.96.0.12", port("", 80, 0)), slice("web", "", 8080, "10.244.1.2@n1", "10.244.1.3@n2", "10.244.2.3@n2"))
	setService(p, service("dns", "10.96.0.13", udp(port("", 53, 0))))
	setService(p, balanced(service("lb", "10.96.0.14", port("", 80, 0)), "198.51.100.7", "203.0.113.7/32", "192.0.2.0/24", "192.0.2.128/25"))
	p.must(t)
	if diff := cmp.Diff(sorted(wantTable), sorted(listed(t))); diff != "" {
		t.Error(diff)
	}
	if err := Clean(); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "nft", "list", "ruleset"); out != "" {
		t.Errorf("Clean left:\n%s", out)
	}
	if err := Clean(); err != nil {
		t.Errorf("cleaning twice: %v", err)
	}
}

func TestEveryChainCanBeListed(t *testing.T) { // nft aborts on expressions that it cannot list
	p := newTestSyncer(t)
	p.compiled["default/a"] = &compiledObject{obj: service("a", "10.96.0.12"), frontends: []*frontend{
		{key: key{vip, 6, 1}, owner: "default/a", chain: "pick-2", slots: twoSlots},
		{key: key{vip, 6, 2}, owner: "default/a", chain: "sticky-2-10800", slots: twoSlots, affinityID: 1 << 31},
		{key: key{vip, 6, 3}, owner: "default/a", chain: "local-1-2", slots: twoSlots},
		{key: key{vip, 6, 4}, owner: "default/a", chain: "local-0-2-60", slots: twoSlots, affinityID: 1 << 31},
		{key: key{vip, 6, 5}, owner: "default/a", unserved: ignoreChain},
	}}
	p.must(t)
	got := listed(t)
	for _, want := range []string{
		"10.96.0.77 . tcp . 4 : goto local-0-2-60",
		"10.96.0.77 . tcp . 5 : goto ignore",
		"\tchain sticky-2-10800 {\n" +
			"\t\tmeta priority set ip daddr . meta l4proto . th dport map @sticky comment \"load the affinity ID\"\n" +
			"\t\tupdate @affinity { ip saddr . meta priority timeout 3h : numgen random mod 2 } comment \"add the client with a random slot, or renew its timeout\"\n" +
			"\t\tmeta priority set ip saddr . meta priority map @affinity comment \"load the client's slot\"\n" +
			"\t\tdnat ip to ip daddr . meta l4proto . th dport . meta priority map @slots\n" +
			"\t\tdnat ip to ip daddr . meta l4proto . th dport . jhash ip saddr mod 2 map @slots comment \"no such slot: choose by the client's address\"\n\t}",
		"\tchain local-1-2 {\n" +
			"\t\tip saddr 10.244.0.0/16 goto pick-2 comment \"pods\"\n" +
			"\t\tfib saddr type local goto pick-2 comment \"this host\"\n" +
			"\t\tgoto pick-1 comment \"clients outside of the cluster\"\n\t}",
		"goto ignore comment \"clients outside of the cluster\"",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing:\n%s\nin:\n%s", want, got)
		}
	}
}

func TestRestartChangesNothing(t *testing.T) {
	p := newTestSyncer(t)
	setService(p, service("web", "10.96.0.12", port("", 80, 0)), slice("web", "", 8080, "10.244.1.2@n1", "10.244.1.3@n2"))
	setService(p, withAffinity(service("st", "10.96.0.14", port("", 80, 0))), slice("st", "", 8080, "10.244.1.2@n1"))
	setService(p, balanced(service("lb", "10.96.0.15", port("", 80, 0)), "198.51.100.7", "192.0.2.0/24", "203.0.113.7/32"))
	p.must(t)
	before := run(t, "nft", "-a", "list", "table", "ip", TableName) // with handles: a rule that is made again has another
	q := newSyncer([]*kernelTable{newKernelTable(clusterCIDR)}, p.log)
	q.compiled = p.compiled
	if n := q.must(t); n != 0 {
		t.Errorf("a restart changed %d elements", n)
	}
	if diff := cmp.Diff(sorted(before), sorted(run(t, "nft", "-a", "list", "table", "ip", TableName))); diff != "" {
		t.Error(diff)
	}
	// One endpoint less changes only that service.
	setService(q, service("web", "10.96.0.12", port("", 80, 0)), slice("web", "", 8080, "10.244.1.2@n1"))
	if n := q.must(t); n != 3 { // services: - and +, slots: -
		t.Errorf("one endpoint less changed %d elements", n)
	}
}

func TestForeignChangesAreUndone(t *testing.T) {
	tests := []struct{ name, script string }{
		{"flush ruleset", "flush ruleset"},
		{"delete table", "delete table ip gantry"},
		{"flush table", "flush table ip gantry"},
		{"flush chain", "flush chain ip gantry postrouting"},
		{"delete element", "delete element ip gantry services { 10.96.0.12 . tcp . 80 }"},
		{"other element", "add element ip gantry services { 10.96.0.99 . tcp . 80 : drop }"},
		{"delete range", "delete element ip gantry source-ranges { 198.51.100.7 . tcp . 80 . 192.0.2.0/24 }"},
		{"wider range", "add element ip gantry source-ranges { 198.51.100.7 . tcp . 80 . 10.0.0.0/8 }"},
		{"not restricted", "delete element ip gantry restricted { 198.51.100.7 . tcp . 80 }"},
		{"flush map", "flush map ip gantry slots"},
		{"other table of the name", "flush ruleset; add table ip gantry; add set ip gantry services { type ipv4_addr; }"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestSyncer(t)
			setService(p, service("web", "10.96.0.12", port("", 80, 0)), slice("web", "", 8080, "10.244.1.2@n1", "10.244.1.3@n2"))
			setService(p, balanced(service("lb", "10.96.0.15", port("", 80, 0)), "198.51.100.7", "192.0.2.0/24"))
			p.must(t)
			want := listed(t)
			run(t, "nft", tt.script)
			p.readTables()
			p.must(t)
			if diff := cmp.Diff(sorted(want), sorted(listed(t))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMonitorReportsForeignChanges(t *testing.T) {
	p := newTestSyncer(t)
	changed := make(chan struct{}, 1)
	<-listenForTest(t, p.tables[0].kernel, changed)
	setService(p, service("web", "10.96.0.12", port("", 80, 0)), slice("web", "", 8080, "10.244.1.2@n1"))
	p.must(t)
	run(t, "nft", "flush ruleset")
	<-changed // the test's deadline is the limit
}

func TestTenThousandServices(t *testing.T) {
	p := newTestSyncer(t)
	const count = 10000
	for i := range count {
		ip := fmt.Sprintf("10.96.%d.%d", 1+i/250, 1+i%250)
		name := fmt.Sprintf("s%d", i)
		setService(p, service(name, ip, port("", 80, 0)), slice(name, "", 8080, fmt.Sprintf("10.244.%d.%d@n2", i/250, 2+i%250), fmt.Sprintf("10.244.%d.%d@n2", 100+i/250, 2+i%250)))
	}
	if n := p.must(t); n != count*5 { // services, slots x2, masquerades, cluster-ips
		t.Errorf("%d elements, want %d", n, count*5)
	}
	have, st, err := p.tables[0].kernel.read()
	if err != nil || st != intact || len(have) != count*5 {
		t.Fatalf("read back %d elements, state %v, %v", len(have), st, err)
	}
	setService(p, service("s777", "10.96.4.28", port("", 80, 0)), slice("s777", "", 8080, "10.244.9.9@n2"))
	if n := p.must(t); n != 5 { // services - +, slots - + -
		t.Errorf("one service changed %d elements", n)
	}
	clear(p.compiled)
	p.must(t)
	if have, _, _ := p.tables[0].kernel.read(); len(have) != 0 {
		t.Errorf("%d elements are left", len(have))
	}
}
