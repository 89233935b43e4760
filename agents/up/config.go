// Package up assembles agents into a process: all of them over an embedded etcd (`gantry up`), or any of them
// over an etcd that is there (`gantry up --agents ...`, `gantry scheduler`, ...). It is the only place, with main, that
// imports more than one agent.
package up

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"gantry/agents/gateway/authenticate"
	"gantry/agents/scheduler"
	"gantry/registry/admit/plugins"
	"gantry/registry/embedded"
)

// Agents names every agent in the order they start.
var Agents = []string{"gateway", "scheduler", "controllers", "network", "proxy", "dns", "kubelet"}

// nodeAgents are the agents that make a machine a node.
var nodeAgents = []string{"network", "proxy", "dns", "kubelet"}

// Config is the configuration of `gantry up` and of an agent alone. Each field's flag is in flags.go.
type Config struct {
	// Agents names the agents to run.
	Agents []string
	// Embedded runs an etcd in this process, in DataDir/etcd, unless EtcdServers are given.
	Embedded bool
	// DataDir is the directory of all of Gantry's data on this machine.
	DataDir string

	// BindAddress and SecurePort are where the gateway listens.
	BindAddress string
	SecurePort  int
	// Gateways are the URLs at which node agents and controllers reach gateways; empty: the one of this process.
	Gateways []string

	// EtcdServers are the client URLs of an external etcd, with the files to reach it.
	EtcdServers                           []string
	EtcdCAFile, EtcdCertFile, EtcdKeyFile string
	// EtcdPort is where the embedded etcd listens for etcdctl, on loopback.
	EtcdPort int
	// EtcdQuota is how many bytes the embedded etcd's database may take; 0: 2 GiB.
	EtcdQuota int64
	// EtcdRetention is how long the embedded etcd keeps history, a minute at least.
	EtcdRetention time.Duration

	NodeName string
	// NodeIP is the node's address, or one for each address family, comma separated; "": those of the default routes.
	NodeIP string
	// DockerHost is the engine's address ("unix:///var/run/docker.sock").
	DockerHost string
	// KubeletPort is where the kubelet serves logs and exec.
	KubeletPort int
	// UnsafeSysctls are the sysctls, or patterns of them, that pods may set besides the safe ones.
	UnsafeSysctls []string

	// ClusterCIDR is the pods' range, ServiceCIDR that of cluster IPs: one network, or one of each address family, comma separated, of which
	// the first is the primary one.
	ClusterCIDR, ServiceCIDR string
	// NodeMask4 and NodeMask6 are the lengths of the prefixes of ClusterCIDR that nodes get.
	NodeMask4, NodeMask6 int

	// ClusterDNS is the address at which pods' names are resolved; "": the tenth of the first network of ServiceCIDR.
	ClusterDNS string
	// ClusterDomain is the zone of the cluster's names.
	ClusterDomain string

	// SchedulerConfig is a file with a KubeSchedulerConfiguration; "": the defaults.
	SchedulerConfig string

	// Controllers says which of the controllers run; see controllers.Config.
	Controllers []string

	// AnonymousAuth lets requests without credentials do what roles allow the anonymous user; nil: they may, unless AuthenticationConfig says
	// otherwise.
	AnonymousAuth *bool
	// AuthenticationConfig is a file with an AuthenticationConfiguration; "": none.
	AuthenticationConfig string

	// Signing is what the controllers sign certificate signing requests with.
	Signing Signing

	// Admission says which admission plug-ins are on in this process; each process that writes has its own.
	Admission plugins.Options

	// LoadBalancers are the ranges of addresses for Services of type LoadBalancer; none: the nodes' own.
	LoadBalancers []string

	// HealthzAddress serves /healthz, /readyz and /metrics of this process; "": nowhere (the gateway serves them).
	HealthzAddress string

	Version string
	Log     *slog.Logger

	// notices receives the embedded etcd's notices.
	notices chan embedded.Notice
}

// Validate returns every fault, each with its flag's name.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Agents) == 0 {
		fault("--agents: at least one of %s is needed", strings.Join(Agents, ","))
	}
	for _, a := range c.Agents {
		if !slices.Contains(Agents, a) {
			fault("--agents: %q is none of %s", a, strings.Join(Agents, ","))
		}
	}
	if c.DataDir == "" || !filepath.IsAbs(c.DataDir) {
		fault("--data-dir: %q is not an absolute path", c.DataDir)
	}
	if _, err := netip.ParseAddr(c.BindAddress); err != nil {
		fault("--bind-address: %w", err)
	}
	ports := map[string]int{"--secure-port": c.SecurePort, "--kubelet-port": c.KubeletPort}
	if c.embedsEtcd() {
		ports["--etcd-port"] = c.EtcdPort
		if c.EtcdRetention < time.Minute {
			fault("--etcd-compaction-interval: %s is less than a minute", c.EtcdRetention)
		}
	}
	for flag, port := range ports {
		if port < 1 || port > 65535 {
			fault("%s: %d is not a port (1-65535)", flag, port)
		}
	}
	faults = append(faults, c.networkFaults()...)
	if c.ClusterDNS != "" {
		if a, err := netip.ParseAddr(c.ClusterDNS); err != nil || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() {
			fault("--cluster-dns: %q is not an address", c.ClusterDNS)
		}
	}
	if wrong := validation.IsDNS1123Subdomain(c.ClusterDomain); len(wrong) > 0 {
		fault("--cluster-domain: %q: %s", c.ClusterDomain, strings.Join(wrong, "; "))
	}
	if wrong := validation.IsDNS1123Subdomain(c.NodeName); len(wrong) > 0 {
		fault("--node-name: %q: %s", c.NodeName, strings.Join(wrong, "; "))
	}
	if c.NodeIP != "" {
		if _, err := parseNodeIPs(c.NodeIP); err != nil {
			fault("%w", err)
		}
	}
	if len(c.EtcdServers) == 0 && !c.Embedded {
		fault("--etcd-servers: an agent that runs alone needs the address of etcd")
	}
	if c.runs("scheduler") {
		if err := scheduler.ValidateFile(c.SchedulerConfig); err != nil {
			fault("%w", err)
		}
	}
	if _, err := c.anonymous(); err != nil {
		faults = append(faults, err)
	}
	faults = append(faults, c.Signing.validate()...)
	if err := c.Admission.Validate(); err != nil {
		faults = append(faults, err)
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// anonymous is which requests without credentials the gateway serves.
func (c Config) anonymous() (authenticate.Anonymous, error) {
	a := authenticate.Anonymous{Off: c.AnonymousAuth != nil && !*c.AnonymousAuth}
	if c.AuthenticationConfig == "" {
		return a, nil
	}
	read, err := authenticate.ReadFile(c.AuthenticationConfig)
	switch {
	case err != nil:
		return a, fmt.Errorf("--authentication-config: %w", err)
	case read == nil:
		return a, nil
	case c.AnonymousAuth != nil:
		return a, errors.New("--anonymous-auth: it cannot be set when anonymous is configured in the file of --authentication-config")
	}
	return *read, nil
}

// clusterDNS is the address of the cluster's name server: by convention the tenth of the primary range of Services.
func (c Config) clusterDNS() netip.Addr {
	if c.ClusterDNS != "" {
		return netip.MustParseAddr(c.ClusterDNS)
	}
	a := c.serviceCIDRs()[0].Addr()
	for range 10 {
		a = a.Next()
	}
	return a
}

func (c Config) runs(agent string) bool { return slices.Contains(c.Agents, agent) }

func (c Config) isNode() bool {
	return slices.ContainsFunc(nodeAgents, c.runs)
}

// writesAnyKind reports whether this process writes objects of every kind. Then it serves custom kinds, records values in etcd that cannot be
// read, and writes Events about them.
func (c Config) writesAnyKind() bool { return c.runs("gateway") || c.runs("controllers") }

func (c Config) embedsEtcd() bool { return c.Embedded && len(c.EtcdServers) == 0 }

func (c Config) path(elem ...string) string {
	return filepath.Join(append([]string{c.DataDir}, elem...)...)
}

// gatewayURL is where this machine reaches its own gateway.
func (c Config) gatewayURL() string {
	host := netip.MustParseAddr(c.BindAddress)
	if host.IsUnspecified() {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return "https://" + netip.AddrPortFrom(host, uint16(c.SecurePort)).String()
}

// AdminConf is the path of the admin's kubeconfig.
func (c Config) AdminConf() string { return c.path("admin.conf") }

// identity is the name of this process in elections.
func (c Config) identity() string {
	return fmt.Sprintf("%s_%d", c.NodeName, os.Getpid())
}
