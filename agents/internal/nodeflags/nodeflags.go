// Package nodeflags checks the flags that the agents of a node's network have in common.
package nodeflags

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"gantry/agents/internal/daemon"
	"gantry/registry"
)

// Flags are the fields that these agents' configurations have in common.
type Flags struct {
	Registry     *registry.Registry
	NodeName     string         // --node-name
	ClusterCIDRs []netip.Prefix // --cluster-cidr
	Health       *daemon.Health
	Log          *slog.Logger
}

// Faults returns every fault of f, naming the flag.
func (f Flags) Faults() (all []error) {
	if f.Registry == nil || f.Health == nil || f.Log == nil {
		all = append(all, errors.New("registry, health and log must be set"))
	}
	if f.NodeName == "" {
		all = append(all, errors.New("--node-name: must be set"))
	}
	if len(f.ClusterCIDRs) == 0 {
		all = append(all, errors.New("--cluster-cidr: must be set"))
	}
	for i, p := range f.ClusterCIDRs {
		switch {
		case !p.IsValid() || p.Addr().Is4In6():
			all = append(all, fmt.Errorf("--cluster-cidr: %q is not a range of addresses", p))
		case slices.ContainsFunc(f.ClusterCIDRs[:i], func(other netip.Prefix) bool { return other.Addr().Is4() == p.Addr().Is4() }):
			all = append(all, fmt.Errorf("--cluster-cidr: %s is the second range of its family", p))
		}
	}
	return all
}
