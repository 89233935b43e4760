package controllers

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gantry/agents/controllers/certificates"
	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/network"
	"gantry/agents/internal/addressrange"
	"gantry/agents/internal/daemon"
	"gantry/agents/internal/signtoken"
	"gantry/registry"
)

// Config is what the controllers need.
type Config struct {
	// Registry is where everything is read and written.
	Registry *registry.Registry
	// Identity names this process in the election: <hostname>_<uuid>.
	Identity string
	// ClusterCIDRs are the ranges of pod addresses, of each of which a node gets a part: one, or one of each address family, the primary one
	// first; 10.244.0.0/16. None: nodes get none.
	// --cluster-cidr
	ClusterCIDRs []netip.Prefix
	// NodeMask4 and NodeMask6 are the lengths of a node's prefixes; 24 and 64.
	// --node-cidr-mask-size-ipv4, --node-cidr-mask-size-ipv6
	NodeMask4, NodeMask6 int
	// ServiceCIDRs are the ranges of cluster IPs, as ClusterCIDRs; the first address of the first is that of the Service kubernetes. None: that
	// Service is not kept.
	// --service-cluster-ip-range
	ServiceCIDRs []netip.Prefix
	// ClusterDNS is the address of the Service kube-system/kube-dns, within ServiceCIDRs. Not valid, or elsewhere: that Service is not made.
	// --cluster-dns
	ClusterDNS netip.Addr
	// LoadBalancerAddresses are given to Services of type LoadBalancer. Empty: these get the nodes' own addresses.
	// --load-balancer-addresses
	LoadBalancerAddresses addressrange.Ranges
	// RootCA is the PEM bundle that pods trust, put into kube-root-ca.crt in every namespace. Empty: none is put.
	RootCA []byte
	// Authorities sign certificate signing requests. The zero value: none is signed; without its key an authority signs none either, which the log
	// and Events say. --cluster-signing-cert-file, --cluster-signing-key-file, --cluster-signing-duration
	Authorities certificates.Authorities
	// ServiceAccountKey signs the tokens in Secrets of type kubernetes.io/service-account-token: an RSA or ECDSA key, of which
	// every gateway has the public half. nil: those Secrets stay as they are. --service-account-private-key-file
	ServiceAccountKey crypto.Signer
	// FrontProxyClient is shown to the servers of API services. Without one, those that ask who the client is are not available.
	FrontProxyClient tls.Certificate
	// Gateway answers what is not stored in etcd: the metrics that autoscalers scale by, what users may do, and the objects of extension servers.
	// nil: autoscalers say that there are no metrics, no certificate signing request is approved, and where there are extension servers, namespaces
	// are not emptied to their end and their objects' dependents are kept.
	// --gateway
	Gateway controller.Gateway
	// NodeMonitorGracePeriod is how old a node's last heartbeat may be before the node is marked unreachable; 50 s.
	NodeMonitorGracePeriod time.Duration
	// TerminatedPodThreshold is how many pods that have ended are kept; 12500. Below 0: all.
	TerminatedPodThreshold int
	// Controllers says which run: names, "*" for all, "-name" for not that one; "*".
	Controllers []string
	// Undeclared is called when a controller reads or writes a kind that its row does not declare, which is refused as well; tests fail
	// by it. nil: it is logged.
	Undeclared func(error)
	// Health is where the agent reports. Not nil.
	Health *daemon.Health
	// Log defaults to slog.Default().
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.NodeMask4 == 0 {
		c.NodeMask4 = 24
	}
	if c.NodeMask6 == 0 {
		c.NodeMask6 = 64
	}
	if c.NodeMonitorGracePeriod == 0 {
		c.NodeMonitorGracePeriod = 50 * time.Second
	}
	if c.TerminatedPodThreshold == 0 {
		c.TerminatedPodThreshold = 12500
	}
	if len(c.Controllers) == 0 {
		c.Controllers = []string{"*"}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Undeclared == nil {
		c.Undeclared = func(err error) { c.Log.Error("undeclared kind refused", "agent", "controllers", "err", err) }
	}
	return c
}

// Validate lists every fault of the configuration, naming the flag.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Registry == nil {
		fault("the registry is missing (--etcd-servers)")
	}
	if c.Identity == "" {
		fault("the identity is empty (--identity)")
	}
	for _, p := range c.ClusterCIDRs {
		flag, bits := "--node-cidr-mask-size-ipv4", c.NodeMask4
		if p.Addr().Is6() {
			flag, bits = "--node-cidr-mask-size-ipv6", c.NodeMask6
		}
		if most := min(p.Bits()+network.MaxNodeBits, p.Addr().BitLen()); bits < p.Bits() || bits > most {
			fault("%s: %d does not fit --cluster-cidr %s: want %d to %d", flag, bits, p, p.Bits(), most)
		}
	}
	for flag, all := range map[string][]netip.Prefix{"--cluster-cidr": c.ClusterCIDRs, "--service-cluster-ip-range": c.ServiceCIDRs} {
		for _, p := range all {
			if c.LoadBalancerAddresses.Overlaps(p) {
				fault("--load-balancer-addresses: %s has addresses of %s %s", c.LoadBalancerAddresses, flag, p)
			}
		}
	}
	if c.ServiceAccountKey != nil {
		if _, err := signtoken.New(c.ServiceAccountKey); err != nil {
			fault("--service-account-private-key-file: %v", err)
		}
	}
	if c.NodeMonitorGracePeriod < 0 {
		fault("--node-monitor-grace-period %s is negative", c.NodeMonitorGracePeriod)
	}
	for _, name := range c.Controllers {
		known := slices.ContainsFunc(table(c), func(t controller.Controller) bool { return t.Name == strings.TrimPrefix(name, "-") })
		if name != "*" && !known {
			fault("--controllers: %q is not a controller", name)
		}
	}
	if c.Health == nil {
		fault("the health is missing")
	}
	return errors.Join(faults...)
}

// runs returns whether --controllers picks name: an explicit entry wins over "*".
func (c Config) runs(name string) bool {
	switch {
	case slices.Contains(c.Controllers, "-"+name):
		return false
	case slices.Contains(c.Controllers, name):
		return true
	}
	return slices.Contains(c.Controllers, "*")
}
