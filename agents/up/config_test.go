package up

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func validConfig(t *testing.T) Config {
	return Config{
		Agents: Agents, Embedded: true, DataDir: t.TempDir(), BindAddress: "0.0.0.0", SecurePort: 6443, EtcdPort: 2379, KubeletPort: 10250,
		EtcdRetention: time.Hour, NodeName: "n1", ClusterCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16",
		NodeMask4: 24, NodeMask6: 64, ClusterDomain: "cluster.local",
	}
}

func TestFaultsNameTheirFlag(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Config)
		want   []string // every fault, in order; none: valid
	}{
		{"the defaults", func(*Config) {}, nil},
		{"an external etcd", func(c *Config) { c.EtcdServers, c.EtcdPort = []string{"http://e:2379"}, 0 }, nil},
		{"an unknown agent", func(c *Config) { c.Agents = []string{"gateway", "mailer"} }, []string{`--agents: "mailer" is none of gateway,`}},
		{"no history", func(c *Config) { c.EtcdRetention = 0 }, []string{"--etcd-compaction-interval: 0s is less than a minute"}},
		{"no agent", func(c *Config) { c.Agents = nil }, []string{"--agents: at least one"}},
		{"many faults", func(c *Config) { c.DataDir, c.SecurePort, c.NodeIP = "data", 70000, "fe80::1" },
			[]string{`--data-dir: "data" is not an absolute path`, `--node-ip: "fe80::1" is not an address that other machines can reach`, "--secure-port: 70000 is not a port"}},
		{"a range with host bits", func(c *Config) { c.ClusterCIDR = "10.244.0.1/16" }, []string{`--cluster-cidr: "10.244.0.1/16" has bits set behind the prefix: want 10.244.0.0/16`}},
		{"a small range", func(c *Config) { c.ServiceCIDR = "10.96.0.0/25" }, []string{"--service-cluster-ip-range: 10.96.0.0/25 is smaller than an IPv4 network of /24"}},
		{"both families", func(c *Config) {
			c.ClusterCIDR, c.ServiceCIDR = "fd00:244::/56,10.244.0.0/16", "fd00:96::/112,10.96.0.0/16"
		}, nil},
		{"IPv6 alone", func(c *Config) { c.ClusterCIDR, c.ServiceCIDR, c.NodeMask4 = "fd00:244::/48", "fd00:96::/64", 0 }, nil},
		{"two ranges of one family", func(c *Config) { c.ServiceCIDR = "10.96.0.0/16,10.97.0.0/16" },
			[]string{"--service-cluster-ip-range: 10.96.0.0/16 and 10.97.0.0/16 are of one address family"}},
		{"ranges of IPv6 that do not fit", func(c *Config) {
			c.ClusterCIDR, c.ServiceCIDR = "10.244.0.0/16,fd00:244::/40", "10.96.0.0/16,fd00:96::/48"
		},
			[]string{"--node-cidr-mask-size-ipv6: 64 does not fit --cluster-cidr fd00:244::/40: want 40 to 56", "--service-cluster-ip-range: fd00:96::/48 is not an IPv6 network of /64 to /120"}},
		{"ranges of IPv6 that overlap", func(c *Config) { c.ClusterCIDR, c.ServiceCIDR = "10.244.0.0/16,fd00::/56", "10.96.0.0/16,fd00::/112" },
			[]string{"--cluster-cidr fd00::/56 and --service-cluster-ip-range fd00::/112 overlap"}},
		{"ranges that overlap", func(c *Config) { c.ServiceCIDR = "10.244.128.0/20" }, []string{"--cluster-cidr 10.244.0.0/16 and --service-cluster-ip-range 10.244.128.0/20 overlap"}},
		{"load balancer addresses", func(c *Config) { c.LoadBalancers = []string{"192.168.1.240/28", "fd00::1-fd00::9"} }, nil},
		{"bad load balancer addresses", func(c *Config) { c.LoadBalancers = []string{"192.168.1.1/24"} },
			[]string{`--load-balancer-addresses: "192.168.1.1/24" has bits set behind the prefix: want 192.168.1.0/24`}},
		{"load balancer addresses of pods", func(c *Config) { c.LoadBalancers = []string{"10.244.7.1-10.244.7.9"} },
			[]string{"--load-balancer-addresses: 10.244.7.1-10.244.7.9 has addresses of --cluster-cidr 10.244.0.0/16: leave them out"}},
		{"a bad name server and zone", func(c *Config) { c.ClusterDNS, c.ClusterDomain = "fe80::a%eth0", "cluster..local" },
			[]string{`--cluster-dns: "fe80::a%eth0" is not an address`, `--cluster-domain: "cluster..local": `}},
		{"a bad node name", func(c *Config) { c.NodeName = "No_de" }, []string{`--node-name: "No_de": `}},
		{"an agent alone without etcd", func(c *Config) { c.Agents, c.Embedded = []string{"scheduler"}, false }, []string{"--etcd-servers: an agent that runs alone needs"}},
	}
	for _, tc := range cases {
		c := validConfig(t)
		tc.change(&c)
		var lines []string
		if err := c.Validate(); err != nil {
			lines = strings.Split(err.Error(), "\n")
		}
		if !slices.EqualFunc(lines, tc.want, strings.HasPrefix) {
			t.Errorf("%s: faults %q, want %q", tc.name, lines, tc.want)
		}
	}
}

func TestOneProcessLocksADataDirectory(t *testing.T) {
	c := validConfig(t)
	c.DockerHost = "unix:///run/other.sock"
	held, err := lock(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(c); err == nil || !strings.Contains(err.Error(), "is in use by another gantry (pid ") {
		t.Errorf("a second lock: %v", err)
	}
	vars, err := Env(c.DataDir)
	if err != nil || !slices.Contains(vars, "ETCDCTL_ENDPOINTS=https://127.0.0.1:2379") {
		t.Errorf("Env: %q, %v", vars, err)
	}
	if name, engine := ThisNode(c.DataDir); name != c.NodeName || engine != c.DockerHost {
		t.Errorf("ThisNode: %q, %q, want %q, %q", name, engine, c.NodeName, c.DockerHost)
	}
	held.Close()
	again, err := lock(c)
	if err != nil {
		t.Fatalf("after the first was released: %v", err)
	}
	again.Close()
}

func TestBackgroundEndsAfterWork(t *testing.T) {
	var order []string
	background := func(ctx context.Context) error { <-ctx.Done(); order = append(order, "background"); return nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := withBackground(ctx, background, func(ctx context.Context) error { <-ctx.Done(); order = append(order, "work"); return nil }); err != nil {
		t.Error(err)
	}
	if !slices.Equal(order, []string{"work", "background"}) {
		t.Errorf("ended in the order %v", order)
	}
	broken := errors.New("broken")
	err := withBackground(t.Context(), func(context.Context) error { return broken }, func(ctx context.Context) error { <-ctx.Done(); return nil })
	if !errors.Is(err, broken) {
		t.Errorf("the background failed: %v", err)
	}
}

func TestClusterDNSIsTheTenthAddress(t *testing.T) {
	c := validConfig(t)
	if got := c.clusterDNS().String(); got != "10.96.0.10" {
		t.Errorf("got %s", got)
	}
	if c.ServiceCIDR = "fd00:96::/112,10.96.0.0/16"; c.clusterDNS().String() != "fd00:96::a" {
		t.Errorf("got %s", c.clusterDNS())
	}
	if c.ClusterDNS = "169.254.20.10"; c.clusterDNS().String() != "169.254.20.10" {
		t.Errorf("got %s", c.clusterDNS())
	}
}
