package up

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"crypto/tls"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controller"
	"gantry/agents/dns"
	"gantry/agents/gateway"
	"gantry/agents/internal/daemon"
	"gantry/agents/internal/gatewayclient"
	"gantry/agents/internal/pki"
	"gantry/agents/kubelet"
	"gantry/agents/network"
	"gantry/agents/proxy"
	"gantry/agents/scheduler"
	"gantry/registry"
	"gantry/registry/admit/plugins"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

// assembly has what the agents of a process share.
type assembly struct {
	Config
	keys     *certs
	nodeIPs  []netip.Addr
	store    store.Store
	registry *registry.Registry
	// nodeRegistry reads only this node's pods; nil where no agent uses it.
	nodeRegistry *registry.Registry
	health       *daemon.Health
	customKinds  <-chan struct{} // closed when the custom kinds are known
}

// run runs one agent until ctx is done.
func (a assembly) run(ctx context.Context, agent string) error {
	switch agent {
	case "gateway":
		return gateway.Run(ctx, a.gateway())
	case "scheduler":
		return scheduler.Run(ctx, scheduler.Config{Registry: a.registry, Identity: a.identity(), File: a.SchedulerConfig, Health: a.health, Log: a.Log})
	case "controllers":
		select { // what is not known yet must not look like what is not there
		case <-a.customKinds:
		case <-ctx.Done():
			return nil
		}
		authorities, err := a.Signing.authorities(a.keys.authority)
		if err != nil {
			return &ConfigError{err}
		}
		return controllers.Run(ctx, controllers.Config{
			Registry: a.registry, Identity: a.identity(), Health: a.health, Log: a.Log,
			ClusterCIDRs: a.clusterCIDRs(), NodeMask4: a.NodeMask4, NodeMask6: a.NodeMask6, ServiceCIDRs: a.serviceCIDRs(),
			ClusterDNS: a.clusterDNS(), RootCA: a.keys.authority.PEM, Authorities: authorities, ServiceAccountKey: a.keys.tokens, Controllers: a.Controllers,
			LoadBalancerAddresses: a.loadBalancers(), Gateway: a.controllersGateway(),
			FrontProxyClient: a.keys.frontProxy.Certificate,
		})
	case "network":
		return network.Run(ctx, network.Config{
			Registry: a.registry, NodeName: a.NodeName, Health: a.health, Log: a.Log,
			ClusterCIDRs: a.clusterCIDRs(),
		})
	case "proxy":
		return proxy.Run(ctx, proxy.Config{
			Registry: a.registry, Pods: a.nodeRegistry, NodeName: a.NodeName, NodeIPs: a.nodeIPs, Health: a.health, Log: a.Log,
			ClusterCIDRs: a.clusterCIDRs(), HealthzAddress: proxyHealthz,
		})
	case "dns":
		return dns.Run(ctx, dns.Config{
			Registry: a.registry, Address: a.clusterDNS(), Domain: a.ClusterDomain, MetricsAddress: dnsMetrics, Version: a.Version, Health: a.health, Log: a.Log,
		})
	case "kubelet":
		return a.kubelet(ctx)
	}
	return fmt.Errorf("no agent is named %q", agent)
}

func (a assembly) gateway() gateway.Config {
	var frontProxyCA []byte
	if a.keys.frontProxyAuthority != nil {
		frontProxyCA = a.keys.frontProxyAuthority.PEM
	}
	anonymous, _ := a.anonymous() // Validate has accepted it
	return gateway.Config{
		Anonymous:    anonymous,
		FrontProxyCA: frontProxyCA, FrontProxyClient: a.keys.frontProxy.Certificate,
		Registry: a.registry, Health: a.health, Log: a.Log,
		BindAddress: netip.MustParseAddr(a.BindAddress), SecurePort: a.SecurePort, AdvertiseAddress: a.nodeIPs[0],
		Certificate: a.keys.gateway.Certificate, ClientCAs: a.keys.authority.Pool(), ClusterCA: a.keys.authority.PEM,
		KubeletClient: a.keys.toKubelet.Certificate, KubeletCAs: a.keys.authority.Pool(),
		ServiceAccountKey: a.keys.tokens, ServiceCIDRs: a.serviceCIDRs(),
		NodesUnrestricted: !a.Admission.On(plugins.NodeRestriction),
		Ready:             func(netip.AddrPort) { a.health.Ready("gateway", func(context.Context) error { return nil }) },
	}
}

// withNodeRegistry creates the registry of the agents that read only this node's pods. The function that it returns runs work and that
// registry.
func (a *assembly) withNodeRegistry(work func(context.Context) error) func(context.Context) error {
	agent := "kubelet" // writes through it: the node's heartbeat
	switch {
	case a.runs("kubelet"):
	case a.runs("proxy"):
		agent = "proxy"
	default:
		return work
	}
	a.nodeRegistry = registry.New(registry.Config{Store: a.store, Kinds: kinds.New(), Node: a.NodeName, Agent: agent, Log: a.Log})
	return func(ctx context.Context) error { return withBackground(ctx, a.nodeRegistry.Run, work) }
}

// gatewayClient is a client of the gateways with an agent's certificate.
func (a assembly) gatewayClient(agent string, pair pki.Pair) *gatewayclient.Client {
	servers := a.Gateways
	if len(servers) == 0 {
		servers = []string{a.gatewayURL()}
	}
	return gatewayclient.New(servers, &tls.Config{
		RootCAs: a.keys.authority.Pool(), Certificates: []tls.Certificate{pair.Certificate}, MinVersion: tls.VersionTLS12,
	}, kinds.New(), agent)
}

// controllersGateway is the controllers' client of the gateways; nil where they have no certificate.
func (a assembly) controllersGateway() controller.Gateway {
	if a.keys.controllers == nil {
		return nil
	}
	return a.gatewayClient("kube-controller-manager", *a.keys.controllers)
}

// kubelet runs the kubelet, which reads this node's pods from etcd and writes through a gateway.
func (a assembly) kubelet(ctx context.Context) error {
	client := a.gatewayClient("kubelet", a.keys.kubelet)
	address := netip.IPv4Unspecified()
	if slices.ContainsFunc(a.nodeIPs, netip.Addr.Is6) {
		address = netip.IPv6Unspecified() // of both families
	}
	return kubelet.Run(ctx, kubelet.Config{
		Registry: a.nodeRegistry, Gateway: client, NodeName: a.NodeName, NodeIPs: a.nodeIPs, DockerHost: a.DockerHost,
		DataDir: a.path("node"), VolumesDir: a.path("volumes"), Address: netip.AddrPortFrom(address, uint16(a.KubeletPort)), ServingCert: &a.keys.kubelet.Certificate, ClientCAs: a.keys.authority.Pool(),
		ClusterDNS: []netip.Addr{a.clusterDNS()}, ClusterDomain: a.ClusterDomain, AllowedUnsafeSysctls: a.UnsafeSysctls, Health: a.health, Log: a.Log,
	})
}
