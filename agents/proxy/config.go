package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"gantry/agents/internal/daemon"
	"gantry/agents/internal/nodeflags"
	"gantry/registry"
)

// Config configures Run.
type Config struct {
	// Registry is where services, slices and nodes are read; its Run is the caller's.
	Registry *registry.Registry
	// Pods is where this node's pods are read: a registry with Config.Node set, its Run the caller's. nil: host ports
	// are not served.
	Pods *registry.Registry
	// NodeName is this node's name: endpoints on it are the local ones. --node-name
	NodeName string
	// NodeIPs are the addresses of this node, of each family, on which node ports answer. Empty: the internal addresses of its Node
	// object. --node-ip
	NodeIPs []netip.Addr
	// ClusterCIDRs are the ranges of pod addresses, one for each family that the cluster has. Packets from other sources are masqueraded
	// where their replies might not come back through this node. --cluster-cidr
	ClusterCIDRs []netip.Prefix
	// NodePorts is the range of node ports that are served, [lo, hi]; the zero value is 30000-32767.
	NodePorts [2]int
	// ExternalIPs serves spec.externalIPs. Off by default: with it, a user who may write a Service can take over any
	// address (CVE-2020-8554).
	ExternalIPs bool
	// HealthzAddress is where /healthz answers as kube-proxy's does, for load balancers: ":10256". Empty: not served.
	HealthzAddress string
	// Health gets the check "proxy".
	Health *daemon.Health
	// Log gets one line for each change.
	Log *slog.Logger
}

// Validate lists every fault.
func (c Config) Validate() error {
	errs := nodeflags.Flags{Registry: c.Registry, NodeName: c.NodeName, ClusterCIDRs: c.ClusterCIDRs, Health: c.Health, Log: c.Log}.Faults()
	for _, a := range c.NodeIPs {
		if !isUnicast(a) {
			errs = append(errs, fmt.Errorf("--node-ip: %s is not a unicast address", a))
		}
	}
	if lo, hi := c.NodePorts[0], c.NodePorts[1]; lo < 0 || hi > 65535 || lo > hi {
		errs = append(errs, fmt.Errorf("--service-node-port-range: %d-%d is not a range of ports", lo, hi))
	}
	return errors.Join(errs...)
}
