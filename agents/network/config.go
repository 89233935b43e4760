package network

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
	// Registry is where nodes are read; its Run is the caller's.
	Registry *registry.Registry
	// NodeName is this node's name. --node-name
	NodeName string
	// ClusterCIDRs are the ranges of pod addresses, one for each family: packets of pods to them are not masqueraded. --cluster-cidr
	ClusterCIDRs []netip.Prefix
	// Backend is how packets get to other nodes: "routes" (also "") by routes over the nodes' addresses, which are on one layer 2
	// network. --backend
	Backend string
	// MTU of the bridge; 0: that of the link with the default route. --mtu
	MTU int
	// Health gets the check "network".
	Health *daemon.Health
	// Log gets one line for each change.
	Log *slog.Logger
}

// Validate lists every fault.
func (c Config) Validate() error {
	errs := nodeflags.Flags{Registry: c.Registry, NodeName: c.NodeName, ClusterCIDRs: c.ClusterCIDRs, Health: c.Health, Log: c.Log}.Faults()
	if c.Backend != "" && c.Backend != "routes" {
		errs = append(errs, fmt.Errorf("--backend: %q is not one of: routes", c.Backend))
	}
	if c.MTU != 0 && (c.MTU < 576 || c.MTU > 65535) {
		errs = append(errs, fmt.Errorf("--mtu: %d is not between 576 and 65535", c.MTU))
	}
	return errors.Join(errs...)
}
